"""The rows after a change, as the store knows them: when it changed, and how many there are.

What always holds: only final readings count, of moments up to the one that is judged; a change is
what the concept monitors told since the champion came, else what the firing's own readings say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from mlreg.controller.domain.triggers import Finding, Held
from mlreg.controller.store import policies as rows
from mlreg.controller.store import readings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.firing import Outcome
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.services.policies import PolicyInForce
    from mlreg.registry.store.database import ReadSession

DETECTORS = ("concept_adwin", "concept_page_hinkley")
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
    """

    memory: PolicyMemory
    fires: tuple[Held, ...]
    waits: bool = False

    @property
    def changed_at(self) -> datetime | None:
        """The change point at which the rows of its run begin."""
        return None if self.memory.collection is None else self.memory.collection.since

    @property
    def is_collection(self) -> bool:
        """Whether no trigger is behind it."""
        return [one.name for one in self.fires] == [COLLECTED]


def collect(
    session: ReadSession,
    in_force: PolicyInForce,
    memory: PolicyMemory,
    fires: tuple[Held, ...],
    at: datetime,
) -> Pending:
    """Return what comes of a moment under a policy that trains on rows after a change."""
    selection = in_force.policy.data.selection
    if not isinstance(selection, SinceChange):
        return Pending(replace(memory, collection=None), fires)
    window = in_force.policy.data.train_window
    collection = passed(memory.collection, at, window)
    if fires:
        found = _find_change(session, in_force, fires, at)
        collection = begin(selection, collection, found, at)
    seen = look(selection, collection, at, lambda since: _count(session, in_force, since, at))
    memory = replace(memory, collection=seen.collection)
    return Pending(memory, _with_collection(fires, seen, at), seen.waits)


def settled(
    in_force: PolicyInForce, pending: Pending, outcome: Outcome, at: datetime
) -> Collection | None:
    """Return what is remembered of a collection once it is known what came of the firing."""
    selection, collection = in_force.policy.data.selection, pending.memory.collection
    if outcome != "run" or not isinstance(selection, SinceChange):
        return collection
    return trained(selection, collection, at)


def change_in_force(session: ReadSession, in_force: PolicyInForce) -> datetime | None:
    """Return the change point that a run by hand begins at, None where there is none."""
    state = rows.find_state(session, in_force.model_id, in_force.environment)
    collection = None if state is None else PolicyMemory.from_json(state.memory).collection
    since_change = isinstance(in_force.policy.data.selection, SinceChange)
    return collection.since if since_change and collection is not None else None


def find_collection(session: ReadSession, model_id: int, environment: str) -> Collection | None:
    """Return what is collected for a policy now, None when nothing is."""
    state = rows.find_state(session, model_id, environment)
    return None if state is None else PolicyMemory.from_json(state.memory).collection


def _with_collection(fires: tuple[Held, ...], seen: Look, at: datetime) -> tuple[Held, ...]:
    if fires or seen.because is None:
        return fires
    return (Held(COLLECTED, at, Finding(holds=True, because=seen.because)),)


def _find_change(
    session: ReadSession, in_force: PolicyInForce, fires: Sequence[Held], at: datetime
) -> datetime | None:
    told = _told(session, in_force, at)
    if told is not None:
        return told
    findings = [one.finding.evidence for one in fires if one.finding is not None]
    found = change_of(reading for evidence in findings for reading in evidence)
    return None if found is None or found >= at - SOON else found


def _told(session: ReadSession, in_force: PolicyInForce, at: datetime) -> datetime | None:
    """Return the newest change that a detector told of, None when none did."""
    after = at - in_force.policy.data.train_window
    listed = _list(session, in_force, DETECTORS, after, at)
    known = [(one.evidence or {}).get("began_at") for one in listed if one.value]
    return max((datetime.fromisoformat(one) for one in known if one), default=None)


def _count(session: ReadSession, in_force: PolicyInForce, since: datetime, at: datetime) -> int:
    """Return how many labelled rows the matured windows since a moment have."""
    found = usable(_list(session, in_force, (LABELLED,), since, at))
    return sum(round(one.value or 0.0) for one in found if one.start >= since)


def _list(
    session: ReadSession,
    in_force: PolicyInForce,
    monitors: Sequence[str],
    after: datetime,
    until: datetime,
) -> list[WindowReading]:
    listed = readings.list_readings(
        session,
        model_id=in_force.model_id,
        environment=in_force.environment,
        monitors=list(monitors),
        after=after,
        until=until,
    )
    return [readings.window_reading(one) for one in listed]
