"""What a person reads of one run: a fact on each line, what it took in words, its specification."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlreg.cli.commands.cost import amount_of
from mlreg.cli.tables import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.client.wire.runs import RunAnswer

WIDTH = 17
INDENT = "  "


def run_lines(run: RunAnswer) -> Iterator[str]:
    """Yield a run; keys of the specification stand as in a policy: `retrain.rounds  60`."""
    facts = run.model_dump(mode="json", exclude={"costs", "specification"})
    for name, fact in facts.items():
        yield _line(name, fact)
    yield _line("took", _took(run))
    said = dict(_flat(run.specification, ""))
    if said:
        yield "specification"
        width = max(map(len, said))
        for name, fact in sorted(said.items()):
            yield f"{INDENT}{_line(name, fact, width)}"


def _line(name: str, fact: object, width: int = WIDTH) -> str:
    shown = json.dumps(fact, ensure_ascii=False) if isinstance(fact, dict | list) else fact
    return f"{name:<{width}}  {cell(shown)}"


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
