"""Checking rows against what is declared of them; a run does so before it trains on them.

What always holds: training rows, snapshots and windows of the log are checked by this code, under
the same declarations; what is broken and has the severity `block` ends a run before any training.
What is told of rows are the prediction ids of a few of them, never their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.batches import PREDICTION_ID, TIME
from mlreg.controller.domain.invariants.invariant import Finding, Invariant, RowInvariant
from mlreg.controller.domain.invariants.rows import Rows
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pyarrow as pa

    from mlreg.controller.services.invariants import Declared

SHOWN = 5


class InvariantBrokenError(RefusedError):
    """Rows that were to be trained on break an invariant whose severity is `block`."""

    code = "invariant_broken"
    hint = "`mlreg invariant check MODEL --snapshot DIGEST` names rows; correct them, or the rule."

    def __init__(self, *, broken: Sequence[str]) -> None:
        more = f"; and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
        super().__init__(f"the training rows break {'; '.join(broken[:SHOWN])}{more}")


@dataclass(frozen=True, slots=True)
class Checked:
    """One invariant, what it found, and the prediction ids of the first rows that break it."""

    invariant: Invariant
    finding: Finding
    ids: tuple[str, ...]

    @property
    def line(self) -> str:
        """What is broken, in a line."""
        one, found = self.invariant, self.finding
        named = f"{one.name} ({one.rule})"
        if not isinstance(one, RowInvariant):
            return f"{named}: it is {found.value:g}"
        allowed = f", at most {one.at_most:.4g} may" if one.at_most else ""
        share = found.broken / max(found.checked, 1)
        return f"{named}: {found.broken:,} of {found.checked:,} rows ({share:.2%}){allowed}"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, for who asked for the check."""
        one, found = self.invariant, self.finding
        return {
            "name": one.name,
            "kind": one.kind,
            "rule": one.rule,
            "severity": one.severity,
            "alert": one.alert,
            "at_most": one.at_most if isinstance(one, RowInvariant) else None,
            "checked": found.checked,
            "broken": found.broken,
            "value": found.value,
            "holds": found.holds,
            "examples": list(self.ids),
        }


def check_rows(invariants: Iterable[Invariant], rows: Rows) -> list[Checked]:
    """Check invariants on some rows."""
    found = [(one, one.check(rows)) for one in invariants]
    return [Checked(one, what, tuple(rows.ids(what.examples))) for one, what in found]


def check_training_rows(declared: Declared, table: pa.Table, say: Callable[[str], None]) -> None:
    """Check rows that are about to be trained on; say what holds, and what is only to be told.

    Raises:
        InvariantBrokenError: something is broken whose severity is `block`.
    """
    found = check_rows(declared.invariants, Rows(table))
    broken = [one for one in found if one.finding.holds is False]
    for one in broken:
        if one.invariant.severity == "alert":
            say(f"warning: the training rows break {one.line}")
    blocking = [one.line for one in broken if one.invariant.severity == "block"]
    if blocking:
        raise InvariantBrokenError(broken=blocking)
    say(f"{len(found) - len(broken)} of {len(found)} invariants hold (set {declared.number})")


def columns_of(invariants: Iterable[Invariant]) -> list[str]:
    """Return the columns that have to be read for some invariants."""
    named = (name for one in invariants for name in (*one.columns, *one.groups))
    return list(dict.fromkeys([PREDICTION_ID, TIME, *named]))
