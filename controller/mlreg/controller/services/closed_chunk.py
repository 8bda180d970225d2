"""The windows of many policies that closed, read together: at midnight the day of all of them does.

A chunk of policies is locked, looked up and read with some queries in all. What their windows say
comes of the same function as of one alone (`window_readings.say`); they are written back together.
Left to be read alone is whatever more would come of: several windows, rows that came late, a
source, an alert, an outage or the suspicion of one, anything unusual, business values, invariants.

What always holds: what is written here is what `tick_policy` would have written for each of them
before it judges. Of whoever is left no more is written than that its late hours are forgotten: its
window is read for the first time yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from mlreg.controller.domain.evaluating import next_moment
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.season import LOOK_BACK
from mlreg.controller.domain.windows import Interval, closed_windows
from mlreg.controller.services import comparing, jobs, looks, monitoring, profiles
from mlreg.controller.services.history import Scored, score_references
from mlreg.controller.services.known_policies import find_policies
from mlreg.controller.services.mature_windows import mature_windows, measure_key
from mlreg.controller.services.referencing import lacks_hours
from mlreg.controller.services.window_readings import Opened, Said, Watched, load_hours_of, say
from mlreg.controller.store import chunks as rows
from mlreg.controller.store import closed_windows as windows
from mlreg.controller.store import label_profiles, late_hours, readings
from mlreg.controller.store.chunks import DueState, Measure
from mlreg.controller.store.policies import models_of
from mlreg.controller.store.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession


@dataclass(slots=True)
class ClosedChunk:
    """What became of some policies of which windows closed.

    Attributes:
        read: the ids of the states whose window was read, of which something is due still.
        left: the ids of those that are to be taken one by one.
        windows: how many windows were read, or found to be measured.
        jobs: how many were asked for.
    """

    read: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    windows: int = 0
    jobs: int = 0


@dataclass(slots=True)
class _Case:
    """One policy that is locked, its window that closed, and the one that is mature by then."""

    state: DueState
    policy: Policy
    memory: PolicyMemory
    serving: Serving
    window: Interval
    mature: Interval | None
    measure: Measure | None = None
    reference: Profile | None = None

    def to_measure(self, young: Sequence[looks.Look]) -> jobs.JobRequest | None:
        """Return the job that measures what is mature, and looks at what is not."""
        if self.mature is not None and self.measure is None:
            return looks.of_mature(self.state.place, self.policy.data, self.mature, young)
        return looks.of_young(self.state.place, young) if young else None

    def after(self) -> PolicyMemory:
        """Return what is remembered once the window is read."""
        memory = self.memory._replace(closed_until=self.window.end)
        if self.mature is not None and self.measure == "done":
            memory = memory._replace(matured_until=self.mature.end)
        return memory


def read_chunk(session: WriteSession, ids: Sequence[int], now: datetime) -> ClosedChunk:
    """Read the windows of these policies of which nothing more comes.

    Args:
        session: one transaction for all of them; their rows stay locked until its end.
        ids: of due states; those that another controller has are left.
        now: business time.

    Raises:
        BrokenProfileError: stored bytes are not profiles of the contract's bins.
    """
    cases, waiting = _open(session, rows.lock_due(session, ids, now), now)
    said: list[tuple[_Case, Said]] = []
    if cases:  # at midnight nearly all wait for their drains, tick by tick
        said = _say(session, _with_measures(session, _with_profiles(session, cases)))
    found = _write(session, said, now)
    kept = {case.state.id for case, _ in said} | waiting
    found.left = [one for one in ids if one not in kept]
    return found


def _open(
    session: WriteSession, states: Sequence[DueState], now: datetime
) -> tuple[list[_Case], set[int]]:
    """Return the policies that may be read together, and those whose batches are drained first."""
    models = list({state.model_id for state in states})
    policies = find_policies(session, [state.policy_id for state in states])
    servings, late = rows.servings(session, models), rows.late_since(session, models)
    undrained = rows.waiting_since(session, models)
    cases, waiting = [], set()
    for state in states:
        policy, serving = policies.get(state.policy_id), servings.get(state.place)
        if policy is None or serving is None:
            continue
        case = _case_of(state, policy, serving, now)
        if (
            case is None
            or late.get(state.place, case.memory.closed_until) < case.memory.closed_until
        ):
            continue
        since = undrained.get(state.model_id)
        if since is None or since > case.window.end:
            cases.append(_drained(case, since))
        elif case.mature is None or case.mature.end + policy.data.label_delay >= since:
            waiting.add(state.id)
    return cases, waiting


def _case_of(state: DueState, policy: Policy, serving: Serving, now: datetime) -> _Case | None:
    """Return what is to be read of a policy; None: take it alone."""
    memory, data = PolicyMemory.from_json(json.loads(state.memory)), policy.data
    if serving.contract is None or data.source_name is not None or comparing.is_watched(policy):
        return None
    if memory.collection is not None or memory.suspicion is not None:
        return None
    closed = list(islice(closed_windows(memory.closed_until, now, data.window), 2))
    mature = list(islice(mature_windows(memory, data, now), 2))
    if len(closed) != 1 or len(mature) > 1:
        return None
    return _Case(state, policy, memory, serving, closed[0], mature[0] if mature else None)


def _drained(case: _Case, since: datetime | None) -> _Case:
    """Return the case; what is mature waits where its batches are not drained, or it is unread."""
    if case.mature is not None:
        is_drained = since is None or since > case.mature.end + case.policy.data.label_delay
        if not is_drained or case.mature.end > case.window.end:
            case.mature = None
    return case


def _with_profiles(session: WriteSession, cases: Sequence[_Case]) -> list[_Case]:
    """Return the cases whose champions have their profiles, and which nobody watches otherwise."""
    asked = [
        windows.Asked(
            case.state.place,
            case.serving.contract or "",
            case.window,
            case.serving.promoted_at - LOOK_BACK,
        )
        for case in cases
    ]
    stored = windows.references_of(
        session, [(case.state.model_id, case.serving.champion) for case in cases]
    )
    bins = profiles.list_bins(session, [one.contract for one in stored if one is not None])
    found = []
    for case, beside, one in zip(cases, windows.beside(session, asked), stored, strict=True):
        lacks = lacks_hours(beside.logged, case.serving.promoted_at, beside.profiled)
        if one is None or one.lacks_labels or lacks or beside.is_watched:
            continue
        if one.contract in bins:
            case.reference = Profile.from_bytes(one.body, bins[one.contract])
        found.append(case)
    return found


def _with_measures(session: WriteSession, cases: Sequence[_Case]) -> list[_Case]:
    """Find out which mature windows are measured; leave out those that are only asked for."""
    mature = [(case, case.mature) for case in cases if case.mature is not None]
    keys = [
        (case.state.place, window, measure_key(case.state.place, window)) for case, window in mature
    ]
    found = rows.measures_of(session, keys) if keys else []
    for (case, _), measure in zip(mature, found, strict=True):
        case.measure = measure
    return [case for case in cases if case.measure != "asked"]


def _say(session: WriteSession, cases: Sequence[_Case]) -> list[tuple[_Case, Said]]:
    """Return what the windows say, without those that say anything unusual."""
    late_hours.forget_of_many(session, [(case.state.place, case.window) for case in cases])
    watched = _watched(session, cases)
    hours = load_hours_of(
        session, [(one, case.window) for one, case in zip(watched, cases, strict=True)]
    )
    opened = [
        (case, Opened(one, case.window, logged))
        for case, one, logged in zip(cases, watched, hours, strict=True)
        if not any(step.suspicion for step in monitoring.fold(one, logged, None))
    ]
    said = say(session, [one for _, one in opened])
    return [
        (case, one)
        for (case, _), one in zip(opened, said, strict=True)
        if one.state != "outage" and all(it.verdict != "unusual" for it in one.found)
    ]


def _watched(session: WriteSession, cases: Sequence[_Case]) -> list[Watched]:
    models = models_of(session, [case.state.model_id for case in cases])
    asked = [
        Scored(
            (case.state.model_id, case.serving.contract or ""),
            case.reference,
            case.serving.promoted_at,
        )
        for case in cases
    ]
    references = score_references(session, asked)
    return [
        monitoring.watched_of(
            models[case.state.model_id],
            case.state.environment,
            case.policy,
            case.serving.contract,
            reference,
        )
        for case, reference in zip(cases, references, strict=True)
    ]


def _write(session: WriteSession, said: Sequence[tuple[_Case, Said]], now: datetime) -> ClosedChunk:
    """Write down what the windows say, that they are read, and ask for what is to be measured."""
    if not said:
        return ClosedChunk()
    readings.write_all(session, [(case.state.place, one.found) for case, one in said], now=now)
    readings.write_all(
        session, [(case.state.place, one.waiting) for case, one in said], now=now, keep=True
    )
    young = _young(session, [case for case, _ in said])
    wanted = [job for case, _ in said if (job := case.to_measure(young[case.state.id])) is not None]
    added = jobs.enqueue_all(session, wanted) if wanted else ()
    memories = [(case, case.after()) for case, _ in said]
    due = [(case, memory, next_moment(case.policy, memory)) for case, memory in memories]
    rows.remember(
        session,
        [
            {
                "id": case.state.id,
                "memory": memory.to_json(),
                "evaluated_until": memory.closed_until,
                "next_fire_at": moment,
            }
            for case, memory, moment in due
        ],
    )
    return ClosedChunk(
        read=[case.state.id for case, _, moment in due if moment <= now],
        windows=len(said) + sum(case.measure == "done" for case, _ in said),
        jobs=len(added),
    )


def _young(session: WriteSession, cases: Sequence[_Case]) -> Mapping[int, list[looks.Look]]:
    """Return by state the younger windows to be looked at; none before any was mature."""
    found = {case.state.id: looks.looks_beside(case.policy.data, case.window) for case in cases}
    places = [case.state.place for case in cases if found[case.state.id]]
    known = label_profiles.with_mature(session, places)
    return {
        case.state.id: found[case.state.id] if case.state.place in known else [] for case in cases
    }
