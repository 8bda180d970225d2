"""After a change point: collect, train on the rows after it, check again.

A retrain at once, on a window that is mostly old, gains next to nothing. So a firing that a change
is behind waits until there are enough labelled rows after it:

    collecting → (enough rows: a run on them) → checking → (check_after: another one) → settled

What always holds: there is one collection of a policy at most, the newest change begins it anew;
what was settled is remembered until `train_window` has passed it, so no later run trains on rows
from before the change; a collection that never fills is given up, and then the usual rows train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mlreg.controller.domain.selections.since_change import SinceChange

Stage = Literal["collecting", "checking", "settled"]
Count = Callable[[datetime], int]
"""How many labelled rows there are since a moment."""
MARGIN = timedelta(days=1)
"""A change that is told anew, so close to the one before, is the same one."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Rows that are collected after a change.

    Attributes:
        since: when it changed.
        asked_at: when a firing first asked for a run.
        rows: how many labelled rows there were when it was last looked.
        check_at: when it is checked again, once it was trained on.
        rest: what a newer mlreg remembers beside it, as it wrote it (see `PolicyMemory`).
    """

    since: datetime
    asked_at: datetime
    needed: int
    rows: int = 0
    stage: Stage = "collecting"
    check_at: datetime | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            **self.rest,
            "since": self.since.isoformat(),
            "asked_at": self.asked_at.isoformat(),
            "needed": self.needed,
            "rows": self.rows,
            "stage": self.stage,
            "check_at": self.check_at.isoformat() if self.check_at else None,
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Collection:
        """Read what `to_json` wrote."""
        check_at = form["check_at"]
        return cls(
            datetime.fromisoformat(form["since"]),
            datetime.fromisoformat(form["asked_at"]),
            form["needed"],
            form["rows"],
            form["stage"],
            datetime.fromisoformat(check_at) if check_at else None,
            {key: form[key] for key in form.keys() - _KEYS},
        )


_KEYS = frozenset({"since", "asked_at", "needed", "rows", "stage", "check_at"})


@dataclass(frozen=True, slots=True)
class Look:
    """What a moment brings to a collection.

    Attributes:
        collection: as it is now; None: there is none.
        because: why a run is due now without any trigger; None: none is.
        waits: whether a run that a trigger asks for has to wait.
    """

    collection: Collection | None
    because: str | None = None
    waits: bool = False

    @property
    def changed_at(self) -> datetime | None:
        """The change point that a run of this moment begins at."""
        return None if self.collection is None else self.collection.since


def begin(
    selection: SinceChange, before: Collection | None, changed_at: datetime | None, at: datetime
) -> Collection | None:
    """Return the collection after a firing: begun anew when there is a newer change."""
    if changed_at is None or (before is not None and changed_at <= before.since + MARGIN):
        return before
    return Collection(changed_at, at, selection.since_change)


def look(selection: SinceChange, collection: Collection | None, at: datetime, count: Count) -> Look:
    """Return what comes of a collection at a moment."""
    if collection is None or collection.stage == "settled":
        return Look(collection)
    if collection.stage == "checking":
        due = collection.check_at is not None and at >= collection.check_at
        since = f"{collection.since:%Y-%m-%d %H:%M} UTC"
        return Look(collection, f"checked again after the change of {since}" if due else None)
    rows = count(collection.since)
    collection = replace(collection, rows=rows)
    since = f"{collection.since:%Y-%m-%d %H:%M} UTC"
    if rows >= collection.needed:
        return Look(collection, f"{rows:,} labelled rows since the change of {since}")
    if at - collection.asked_at >= selection.give_up:
        because = (
            f"only {rows:,} of {collection.needed:,} labelled rows since the change of {since}"
        )
        return Look(None, f"{because}: the usual rows train")
    return Look(collection, waits=True)


def trained(
    selection: SinceChange, collection: Collection | None, at: datetime
) -> Collection | None:
    """Return the collection once a run was asked for on its rows."""
    if collection is None or collection.stage == "settled":
        return collection
    if collection.stage == "collecting" and selection.check_after is not None:
        return replace(collection, stage="checking", check_at=at + selection.check_after)
    due = collection.check_at is None or at >= collection.check_at
    return replace(collection, stage="settled", check_at=None) if due else collection


def passed(collection: Collection | None, at: datetime, window: timedelta) -> Collection | None:
    """Return the collection unless it is settled and the training window has passed its change."""
    over = (
        collection is not None and collection.stage == "settled" and collection.since <= at - window
    )
    return None if over else collection


def change_of(evidence: Iterable[Mapping[str, Any]]) -> datetime | None:
    """Return when the change began that a firing's readings speak of, None when they do not.

    A detector says when the loss rose (`began_at`); windows that drifted or lost skill began with
    the first of them.
    """
    moments = [moment for one in evidence for moment in _moments(one)]
    return min(moments, default=None)


def _moments(reading: Mapping[str, Any]) -> Iterable[datetime]:
    stated = (reading.get("evidence") or {}).get("began_at") or reading.get("began_at")
    if stated is not None:
        yield datetime.fromisoformat(str(stated))
    elif "start" in reading:
        yield datetime.fromisoformat(str(reading["start"]))
    else:
        yield from (datetime.fromisoformat(str(one)) for one in _windows(reading))


def _windows(reading: Mapping[str, Any]) -> list[object]:
    """Return the windows that a reading of lost skill names; a mere count of them is none."""
    windows = reading.get("windows")
    return windows if isinstance(windows, list) else []
