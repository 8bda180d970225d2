"""What a person reads of one run: a fact on each line, what it took in words, its specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.commands.cost import amount_of
from mlreg.cli.output import field_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.client.wire.runs import RunAnswer

INDENT = "  "


def run_lines(run: RunAnswer) -> Iterator[str]:
    """Yield a run; keys of the specification stand as in a policy: `retrain.rounds  60`."""
    facts = run.model_dump(mode="json", exclude={"costs", "specification"})
    yield from field_lines({**facts, "took": _took(run)})
    said = dict(_flat(run.specification, ""))
    if said:
        yield "specification"
        yield from (f"{INDENT}{line}" for line in field_lines(dict(sorted(said.items()))))


def _took(run: RunAnswer) -> str | None:
    if not run.costs:
        return None
    worker = sum(one.seconds for one in run.costs)
    trained = sum(one.train_seconds for one in run.costs)
    amount = amount_of(run.costs)
    cost = f", {amount}" if amount else ""
    return f"{worker:,.1f} s of a worker, {trained:,.1f} s of training{cost}"


def _flat(said: Mapping[str, object], before: str) -> Iterator[tuple[str, object]]:
    """Yield what is said at each place; what is empty is left out."""
    for key, value in said.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        elif value is not None and value not in ("", []):
            yield f"{before}{key}", value
