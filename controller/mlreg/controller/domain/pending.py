"""What comes of a moment under a policy that trains on the rows after a change.

    pending = collect(policy, source, memory, fires, at)
    if pending.fires:
        concluded = conclude(policy, pending, circumstances, at)

What always holds: only final readings count, of windows up to the moment that is judged; a change
is what the concept monitors told within the training window, else what the firing's own readings
say. Readings come from a `ViewSource`: the store, or a history that is replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.collecting import (
    Collection,
    Look,
    begin,
    change_of,
    look,
    passed,
    trained,
)
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.readings import usable
from mlreg.controller.domain.selections.since_change import SinceChange
from mlreg.controller.domain.settling import Concluded, conclude_firing
from mlreg.controller.domain.triggers import Finding, Held, Need
from mlreg.controller.domain.watchable import DETECTORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.evaluating import ViewSource
    from mlreg.controller.domain.firing import Circumstances, Outcome
    from mlreg.controller.domain.policy import Policy

LABELLED = "labelled"
COLLECTED = "collected"
"""The name of a firing that no trigger but a collection made."""
SOON = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pending:
    """What a moment's firing is, once collections had their say.

    Attributes:
        fires: the triggers behind it, or the collection alone.
        waits: whether its run has to wait for rows.
        given_up: the collection that never filled, and is no more once its run is asked for.
    """

    memory: PolicyMemory
    fires: tuple[Held, ...]
    waits: bool = False
    given_up: Collection | None = None

    @property
    def changed_at(self) -> datetime | None:
        """The change point at which the rows of its run begin."""
        return None if self.memory.collection is None else self.memory.collection.since

    @property
    def is_collection(self) -> bool:
        """Whether no trigger is behind it."""
        return [one.name for one in self.fires] == [COLLECTED]


def collect(
    policy: Policy,
    source: ViewSource,
    memory: PolicyMemory,
    fires: tuple[Held, ...],
    at: datetime,
) -> Pending:
    """Return what comes of a moment's firing, or of a collection without one."""
    selection = policy.data.selection
    if not isinstance(selection, SinceChange):
        return Pending(memory._replace(collection=None), fires)
    window = policy.data.train_window
    collection = passed(memory.collection, at, window)
    if fires:
        found = _find_change(source, fires, at, window)
        collection = begin(selection, collection, found, at)
    seen = look(selection, collection, at, lambda since: _count(source, since, at))
    given_up = collection if seen.collection is None else None
    memory = memory._replace(collection=seen.collection)
    return Pending(memory, _with_collection(fires, seen, at), seen.waits, given_up)


def conclude(
    policy: Policy, pending: Pending, circumstances: Circumstances, at: datetime
) -> Concluded:
    """Return what comes of a firing; a run that needs rows after a change waits for them."""
    concluded = conclude_firing(policy, pending.memory, pending.fires, circumstances, at)
    outcome = concluded.outcome
    if outcome == "run" and pending.waits and not circumstances.by_hand:
        outcome = "collecting"
    collection = _settled(policy, pending, outcome, at)
    memory = concluded.memory._replace(collection=collection)
    is_news = concluded.is_news and (outcome == "run" or not pending.is_collection)
    return Concluded(outcome, memory, is_news)


def _settled(policy: Policy, pending: Pending, outcome: Outcome, at: datetime) -> Collection | None:
    """Return what is remembered of a collection once it is known what came of the firing."""
    selection, collection = policy.data.selection, pending.memory.collection
    if outcome != "run" or not isinstance(selection, SinceChange):
        return collection or pending.given_up
    return trained(selection, collection, at)


def _with_collection(fires: tuple[Held, ...], seen: Look, at: datetime) -> tuple[Held, ...]:
    if fires or seen.because is None:
        return fires
    return (Held(COLLECTED, at, Finding(holds=True, because=seen.because)),)


def _find_change(
    source: ViewSource, fires: Sequence[Held], at: datetime, window: timedelta
) -> datetime | None:
    told = _told(source, at, window)
    if told is not None:
        return told
    findings = [one.finding.evidence for one in fires if one.finding is not None]
    found = change_of(reading for evidence in findings for reading in evidence)
    return None if found is None or found >= at - SOON else found


def _told(source: ViewSource, at: datetime, window: timedelta) -> datetime | None:
    """Return the newest change that a detector told of, None when none did."""
    need = Need(tuple(sorted(DETECTORS)), at - window, evidence=True)
    listed = [one for found in source.readings(need, at).values() for one in found]
    known = [(one.evidence or {}).get("began_at") for one in listed if one.value]
    return max((datetime.fromisoformat(one) for one in known if one), default=None)


def _count(source: ViewSource, since: datetime, at: datetime) -> int:
    """Return how many labelled rows the matured windows since a moment have."""
    listed = source.readings(Need((LABELLED,), since), at).get(LABELLED, ())
    return sum(round(one.value or 0.0) for one in usable(listed) if one.start >= since)
