"""One beat of the controller: drain what waits, read what closed, judge what is due.

What always holds: a tick is idempotent, and two at once are harmless: each policy is taken under
its row lock, firings are unique by (policy, moment), jobs by their dedupe key. A moment is judged
once everything before it is read: batches received before it are drained, windows that closed are
read, windows that matured are measured. A policy that fails does not stop the others.
"""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from mlreg.client.edge import Edge
from mlreg.controller.domain.evaluating import due_moment, next_moment, notice
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.windows import HOUR, Interval, closed_windows, window_of
from mlreg.controller.services import (
    comparing,
    following,
    guarding,
    invariant_readings,
    jobs,
    measuring,
    monitoring,
    profiles,
    referencing,
    rereading,
    source_windows,
    watching,
)
from mlreg.controller.services.chunks import CHUNK, Chunk, judge_chunk, uncollected
from mlreg.controller.services.draining import due_models
from mlreg.controller.services.history import score_reference
from mlreg.controller.services.leadership import LeadershipLostError
from mlreg.controller.services.looking_again import watches_readings
from mlreg.controller.services.policies import PolicyInForce, policy_in_force
from mlreg.controller.services.triggering import Automation, Fired, judge_triggers
from mlreg.controller.store import late_hours
from mlreg.controller.store import policies as rows
from mlreg.controller.store.installation import is_virtual
from mlreg.controller.store.serving import Serving, find_serving
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.services import catalog
from mlreg.registry.store.database import WriteSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.services.leadership import Reign
    from mlreg.controller.store.tables import PolicyState
    from mlreg.registry.store.database import Database, ReadSession

MAX_WINDOWS_PER_TICK = 31
BREAKS_OFF = (LeadershipLostError, DatabaseUnreachableError)
"""What ends a tick; any other error is of one policy."""
AT_ONCE = 2
"""How many chunks are under way: one is judged while PostgreSQL reads or writes the other."""
FEW = 8
"""Fewer policies than this are quicker taken one by one."""

log = logging.getLogger("mlreg.controller")


@dataclass(slots=True)
class TickReport:
    """What one tick did; nothing at all is the usual answer.

    Attributes:
        passed: how many policies another controller had at this moment.
    """

    jobs: int = 0
    windows: int = 0
    judged: int = 0
    passed: int = 0
    firings: list[Fired] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.jobs or self.windows or self.judged or self.passed)


def tick(database: Database, *, now: datetime, reign: Reign | None = None) -> TickReport:
    """Do everything that is due by `now` (business time).

    Under a reign, each of its transactions checks first that it lasts.

    Raises:
        LeadershipLostError: it does not; what is left is another controller's.
        DatabaseUnreachableError: the rest of the tick is the next one's.
    """
    report = TickReport()
    following.wake(database, now)
    waiting = _models_to_drain(database, now)
    with database.reading() as session:
        due = rows.due_states(session, now)
        held = jobs.any_held(session)
    if waiting or held:
        with database.writing() as session:
            if reign is not None:
                reign.check(session)
            report.jobs += sum(enqueue_drain(session, model_id) for model_id in waiting)
            report.jobs += jobs.release_held(session, now)
    for state_id in _judge_together(database, due, now, report, reign):
        if reign is not None:
            reign.keep()
        edge = Edge(partial(_tell_failed, report, state_id), but=BREAKS_OFF)
        with edge, database.writing() as session:
            _tick_policy(session, state_id, now, report, reign)
    watching.remind(database, now)
    return report


def _judge_together(
    database: Database,
    due: Sequence[int],
    now: datetime,
    report: TickReport,
    reign: Reign | None,
) -> Sequence[int]:
    """Judge the many of which nothing comes; return the states that are to be taken one by one."""
    if len(due) < FEW:
        return due
    left: list[int] = []
    with uncollected():
        for chunk in _chunks(database, due, now, reign):
            report.judged += chunk.judged
            left += chunk.left
    return left


def _chunks(
    database: Database, due: Sequence[int], now: datetime, reign: Reign | None
) -> Iterator[Chunk]:
    """Yield what became of each chunk; once one ends the tick, no other is begun."""
    begun: deque[Future[Chunk]] = deque()
    with ThreadPoolExecutor(AT_ONCE, "tick") as threads:
        for first in range(0, len(due), CHUNK):
            if len(begun) == AT_ONCE:
                yield begun.popleft().result()
            if reign is not None:
                reign.keep()
            ids = due[first : first + CHUNK]
            begun.append(threads.submit(_judge_some, database, ids, now, reign))
        while begun:
            yield begun.popleft().result()


def _judge_some(
    database: Database, ids: Sequence[int], now: datetime, reign: Reign | None
) -> Chunk:
    """Judge a chunk in a transaction of its own; what broke is left to be taken one by one."""
    with Edge(partial(_tell_apart, len(ids)), but=BREAKS_OFF):
        with database.writing() as session:
            chunk = judge_chunk(session, ids, now)
            if reign is not None:
                reign.check(session)
        return chunk
    return Chunk(left=list(ids))


def _tell_failed(report: TickReport, state_id: int, error: Exception) -> None:
    """Say that one policy failed; the others go on."""
    log.error("the policy of state %d could not be evaluated", state_id, exc_info=error)
    report.failed.append(str(error))


def _tell_apart(policies: int, error: Exception) -> None:
    """Say that a chunk failed; each of its policies may do alone."""
    log.error("%d policies could not be judged together", policies, exc_info=error)


def _models_to_drain(database: Database, now: datetime) -> Sequence[int]:
    """Return the models whose batches are to be drained: all of them in virtual time."""
    with database.reading() as session:
        if is_virtual(session):
            return rows.models_with_waiting_batches(session)
    return due_models(database, now)


def enqueue_drain(session: WriteSession, model_id: int) -> bool:
    """Ask a worker to drain a model's batches; False when one is asked already."""
    job = jobs.enqueue(
        session,
        kind="drain",
        payload={"model_id": model_id},
        dedupe_key=f"drain:{model_id}",
        lock_key=f"drain:{model_id}",
        priority=10,
    )
    return job is not None


@dataclass(slots=True)
class _Beat:
    """One policy in one tick."""

    session: WriteSession
    in_force: PolicyInForce
    serving: Serving | None
    now: datetime
    report: TickReport
    waiting_since: datetime | None
    looks: list[measuring.Look] = field(default_factory=list)
    """Windows to be looked at before they are mature."""
    fired: bool = False

    def is_drained(self, moment: datetime) -> bool:
        """Whether every batch that was received up to this moment is in the log."""
        return self.waiting_since is None or self.waiting_since > moment


def _tick_policy(
    session: WriteSession,
    state_id: int,
    now: datetime,
    report: TickReport,
    reign: Reign | None = None,
) -> None:
    state = rows.lock_state(session, state_id)
    if reign is not None:
        reign.check(session)
    if state is None:
        report.passed += 1
        return
    beat = _beat_of(session, state, now, report)
    if beat is not None:
        _move_on(beat, state)


def _beat_of(
    session: WriteSession, state: PolicyState, now: datetime, report: TickReport
) -> _Beat | None:
    """Return the beat of a policy in force, due or not; None: there is none."""
    if not state.enabled or state.next_fire_at is None:
        return None
    in_force = policy_in_force(session, state.model_id, state.environment)
    if in_force is None:
        return None
    return _Beat(
        session=session,
        in_force=in_force,
        serving=find_serving(session, state.model_id, state.environment),
        now=now,
        report=report,
        waiting_since=rows.waiting_since(session, state.model_id),
    )


def _move_on(beat: _Beat, state: PolicyState) -> None:
    """Read what came late; where that is news, or the policy is due, read and judge."""
    before = PolicyMemory.from_json(state.memory)
    if _has_news(beat, before, _read_late(beat, before)):
        before = before._replace(woken=beat.now)
    elif state.next_fire_at is None or state.next_fire_at > beat.now:
        return
    memory = _judge_due(beat, _read(beat, before))
    _remember(state, beat, memory)
    beat.session.add(state)


def _read(beat: _Beat, before: PolicyMemory) -> PolicyMemory:
    """Read the windows that closed, and have those measured that are mature, or were not yet."""
    memory = _read_closed(beat, before)
    if memory.closed_until > before.closed_until:
        width = beat.in_force.policy.data.window
        newest = Interval(memory.closed_until - width, memory.closed_until)
        beat.looks = measuring.young_looks(beat.session, beat.in_force, newest)
    memory = _await_matured(beat, memory)
    if beat.looks:
        beat.report.jobs += measuring.enqueue_looks(beat.session, beat.in_force, beat.looks)
    return memory


def _read_late(beat: _Beat, memory: PolicyMemory) -> list[Interval]:
    """Read windows again that rows came for after they had been read; return those written."""
    width = beat.in_force.policy.data.window
    place = (beat.in_force.model_id, beat.in_force.environment)
    if not late_hours.are_there(beat.session, place, memory.closed_until) or _lacks_profiles(beat):
        return []
    hours = late_hours.take(
        beat.session, place, memory.closed_until, MAX_WINDOWS_PER_TICK * (width // HOUR)
    )
    watched = _watched(beat) if hours else None
    all_written: list[Interval] = []
    for window in dict.fromkeys(window_of(hour, width) for hour in hours):
        border = memory.suspicion.start if memory.suspicion else memory.closed_until
        if watched is not None:
            written = rereading.read_again(beat.session, watched, window, border, beat.now)
            beat.report.jobs += rereading.follow(beat.session, beat.in_force, memory, written)
            all_written += written
        beat.report.windows += 1
    return all_written


def _has_news(beat: _Beat, memory: PolicyMemory, written: Sequence[Interval]) -> bool:
    """Say whether the newest window was among those that rows came for, and a trigger watches it.

    Where rows are loaded once a day the newest window is always empty as it closes: triggers that
    judge it would never hold.
    """
    newest = any(window.end == memory.closed_until for window in written)
    return newest and watches_readings(beat.in_force.policy, beat.now)


def _read_closed(beat: _Beat, memory: PolicyMemory) -> PolicyMemory:
    """Read the windows that closed and whose batches are drained, oldest first."""
    width = beat.in_force.policy.data.window
    watched = None
    for window in closed_windows(memory.closed_until, beat.now, width):
        if not beat.is_drained(window.end) or beat.report.windows >= MAX_WINDOWS_PER_TICK:
            break
        if watched is None and _lacks_profiles(beat):
            beat.report.jobs += 1
            break
        if beat.serving is not None and source_windows.must_wait(
            beat.session, beat.in_force, window
        ):
            beat.report.jobs += 1
            break
        watched = watched or _watched(beat)
        place = (watched.model_id, watched.environment)
        late_hours.forget(beat.session, place, window)
        look = monitoring.read_window(beat.session, watched, window, memory.suspicion, beat.now)
        beat.report.jobs += rereading.follow(beat.session, beat.in_force, memory, look.again)
        if beat.serving is not None and comparing.is_watched(beat.in_force):
            beat.report.jobs += comparing.enqueue_joint(beat.session, beat.in_force, window)
        beat.report.jobs += invariant_readings.enqueue_window(beat.session, beat.in_force, window)
        memory = memory._replace(closed_until=window.end, suspicion=look.suspicion)
        beat.report.windows += 1
    return memory


def _lacks_profiles(beat: _Beat) -> bool:
    """Have the profiles of a champion made that has none; its windows wait for them."""
    place = (beat.in_force.model_id, beat.in_force.environment)
    return beat.serving is not None and referencing.enqueue_if_needed(
        beat.session, place, beat.serving
    )


def _await_matured(beat: _Beat, memory: PolicyMemory) -> PolicyMemory:
    """Move the border of maturity over measured windows; have the next ones measured."""
    data = beat.in_force.policy.data
    asked = 0
    for window in closed_windows(memory.matured_until, beat.now - data.label_delay, data.window):
        ready = window.end <= memory.closed_until and beat.is_drained(window.end + data.label_delay)
        if not ready or asked >= MAX_WINDOWS_PER_TICK:
            break
        if asked == 0 and measuring.is_measured(beat.session, beat.in_force, window):
            memory = memory._replace(matured_until=window.end)
            beat.report.windows += 1
            continue
        looks, beat.looks = beat.looks, []  # one job does both
        beat.report.jobs += measuring.enqueue_measure(beat.session, beat.in_force, window, looks)
        asked += 1
    return memory


def _judge_due(beat: _Beat, memory: PolicyMemory) -> PolicyMemory:
    """Judge the moment that is due, once everything before it is read."""
    due = due_moment(beat.in_force.policy, memory, beat.now)
    if due is None:
        return memory
    memory = notice(memory, due, beat.now)
    return _judge(beat, memory, due) if _all_read(beat, memory, due) else memory


def _all_read(beat: _Beat, memory: PolicyMemory, due: datetime) -> bool:
    data = beat.in_force.policy.data
    closed = window_of(due, data.window).start <= memory.closed_until
    matured = window_of(due - data.label_delay, data.window).start <= memory.matured_until
    return closed and matured


def _judge(beat: _Beat, memory: PolicyMemory, due: datetime) -> PolicyMemory:
    automation = Automation(beat.in_force, beat.serving, memory)
    beat.report.jobs += guarding.enqueue_guard(
        beat.session, beat.in_force, beat.serving, memory.matured_until
    )
    memory, fired = judge_triggers(beat.session, automation, due, beat.now)
    beat.report.judged += 1
    beat.fired = fired is not None
    if fired is not None:
        beat.report.firings.append(fired)
        beat.report.jobs += fired.run_id is not None
    return memory


def _remember(state: PolicyState, beat: _Beat, memory: PolicyMemory) -> None:
    state.memory = memory.to_json()
    state.evaluated_until = memory.closed_until
    if beat.fired:
        state.last_fired_at = memory.judged_at
    state.next_fire_at = next_moment(beat.in_force.policy, memory)


def _watched(beat: _Beat) -> monitoring.Watched:
    in_force, serving = beat.in_force, beat.serving
    model = rows.model_of(beat.session, in_force.model_id)
    schema = catalog.feature_schema_of(model)
    return monitoring.Watched(
        model_id=in_force.model_id,
        environment=in_force.environment,
        task=model.task,
        contract=None if serving is None else serving.contract,
        reference=_reference(beat.session, in_force.model_id, serving),
        at_risk=tuple(one.name for one in schema.features if one.at_risk) if schema else (),
        alerts=in_force.policy.alerts,
        threshold=in_force.policy.monitors.threshold,
    )


def _reference(session: ReadSession, model_id: int, serving: Serving | None) -> Profile | None:
    if serving is None:
        return None
    reference = profiles.find_reference(session, model_id, serving.champion)
    log = (model_id, serving.contract or "")
    return score_reference(session, log, reference, serving.promoted_at)
