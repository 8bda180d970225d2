"""What becomes of due times that passed while nobody looked: `latest`, `all` or `none`.

What always holds: a due time is judged once, or counted as missed; `latest` makes one finding of
all that passed, `all` judges each in its order (the newest `MOST_IN_ORDER` of them), `none` only
what was looked at in time. What was due while the policy was disabled is never judged, nor counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal

from mlreg.controller.domain.triggers import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlreg.controller.domain.triggers import View

CatchUp = Literal["latest", "all", "none"]
Span = tuple[datetime, datetime]
"""The moments after the first, up to the second and with it."""
MOST_IN_ORDER = 100
MOST_COUNTED = 1_000
IN_TIME = timedelta(minutes=5)
"""What was first looked at so soon was not slept through: a restart takes no longer."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The due times that passed since the moment before, newest first; counted up to a bound."""

    newest: datetime
    count: int
    first: datetime

    @classmethod
    def of(cls, newest_first: Iterable[datetime]) -> Passed | None:
        """Return what passed; None: nothing did."""
        passed = list(islice(newest_first, MOST_COUNTED))
        return cls(passed[0], len(passed), passed[-1]) if passed else None


def enabled_spans(span: Span, disabled: Sequence[Span], *, in_order: bool) -> Sequence[Span]:
    """Return the parts of a span in which a policy was enabled, oldest first.

    Args:
        span: from the moment judged before to the one that is judged.
        disabled: those in which it was not, oldest first.
        in_order: whether each due time counts; else those before it was disabled do no more.
    """
    if not disabled:
        return (span,)
    found: list[Span] = []
    after, until = span
    for start, end in disabled:
        if after < start:
            found.append((after, min(start, until)))
        after = max(after, min(end, until))
    found.append((after, until))
    return found if in_order else found[-1:]


def due_of(newest_first: Iterable[datetime], catch_up: CatchUp) -> datetime | None:
    """Return which of the due times that passed is to be judged next."""
    most = MOST_IN_ORDER if catch_up == "all" else 1
    passed = list(islice(newest_first, most))
    return passed[-1] if passed else None


def find_due(passed: Passed, view: View, catch_up: CatchUp, said: Mapping[str, object]) -> Finding:
    """Return what a trigger of time finds.

    Args:
        passed: the due times since the moment before.
        view: the moment.
        catch_up: what becomes of those that passed while nobody looked.
        said: what the policy says, for the evidence.
    """
    slept = catch_up == "none" and view.late + (view.now - passed.newest) > IN_TIME
    missed = passed.count if slept else passed.count - 1
    due = f"{passed.newest:%Y-%m-%d %H:%M} UTC"
    evidence: dict[str, object] = {**said, "due": passed.newest.isoformat(), "missed": missed}
    if missed:
        evidence["first_missed"] = passed.first.isoformat()
    counted = f"{missed:,}" if missed < MOST_COUNTED - 1 else f"{missed:,} or more"
    if slept:
        because = f"{counted} due times passed unseen, the last at {due}; catch_up is none"
        return Finding(holds=False, because=because, evidence=(evidence,), missed=missed)
    because = f"due at {due}" + (f"; {counted} missed before it" if missed else "")
    return Finding(holds=True, because=because, evidence=(evidence,), missed=missed)
