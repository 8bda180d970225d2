"""One policy in one tick: read what closed, have measured what matured, judge what is due.

What always holds: a moment is judged once everything before it is read: batches received before it
are drained, windows that closed are read, windows that matured are measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from mlreg.controller.domain.evaluating import due_moment, is_all_read, next_moment, notice
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.windows import HOUR, Interval, closed_windows, window_of
from mlreg.controller.services import (
    comparing,
    guarding,
    invariant_readings,
    measuring,
    monitoring,
    profiles,
    referencing,
    rereading,
    source_windows,
)
from mlreg.controller.services.history import score_reference
from mlreg.controller.services.looking_again import watches_readings
from mlreg.controller.services.looks import Look
from mlreg.controller.services.mature_windows import mature_windows
from mlreg.controller.services.policies import PolicyInForce, policy_in_force
from mlreg.controller.services.tick_report import TickReport
from mlreg.controller.services.triggering import Automation, judge_triggers
from mlreg.controller.store import late_hours
from mlreg.controller.store import policies as rows
from mlreg.controller.store.serving import Serving, find_serving
from mlreg.registry.store.database import WriteSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.services.leadership import Fence
    from mlreg.controller.services.window_readings import Watched
    from mlreg.controller.store.tables import PolicyState
    from mlreg.registry.store.database import ReadSession

MAX_WINDOWS_PER_TICK = 31
"""Of one policy, lest one that has many to read puts off the others."""
MANY_WINDOWS = 1_000
"""Of all policies in a tick: what is left is read in the next, and no call is put off by it."""


@dataclass(slots=True)
class Beat:
    """One policy in one tick."""

    session: WriteSession
    in_force: PolicyInForce
    serving: Serving | None
    now: datetime
    report: TickReport
    waiting_since: datetime | None
    looks: list[Look] = field(default_factory=list)
    """Windows to be looked at before they are mature."""
    fired: bool = False

    def is_drained(self, moment: datetime) -> bool:
        """Whether every batch that was received up to this moment is in the log."""
        return self.waiting_since is None or self.waiting_since > moment


def tick_policy(
    session: WriteSession,
    state_id: int,
    now: datetime,
    report: TickReport,
    fence: Fence | None = None,
) -> None:
    """Read and judge what is due of one policy; of one that somebody else has, say that it passed.

    Raises:
        LeadershipLostError: what the fence guards is another controller's by now.
    """
    state = rows.lock_state(session, state_id)
    if fence is not None:
        fence.check(session)
    if state is None:
        report.passed += 1
        return
    beat = _beat_of(session, state, now, report)
    if beat is not None:
        _move_on(beat, state)


def _beat_of(
    session: WriteSession, state: PolicyState, now: datetime, report: TickReport
) -> Beat | None:
    """Return the beat of a policy in force, due or not; None: there is none."""
    if not state.enabled or state.next_fire_at is None:
        return None
    in_force = policy_in_force(session, state.model_id, state.environment)
    if in_force is None:
        return None
    return Beat(
        session=session,
        in_force=in_force,
        serving=find_serving(session, state.model_id, state.environment),
        now=now,
        report=report,
        waiting_since=rows.waiting_since(session, state.model_id),
    )


def _move_on(beat: Beat, state: PolicyState) -> None:
    """Read what came late; where that is news, or the policy is due, read and judge."""
    before = PolicyMemory.from_json(state.memory)
    if _has_news(beat, before, _read_late(beat, before)):
        before = before._replace(woken=beat.now)
    elif state.next_fire_at is None or state.next_fire_at > beat.now:
        return
    memory = _judge_due(beat, _read(beat, before))
    _remember(state, beat, memory)
    beat.session.add(state)


def _read(beat: Beat, before: PolicyMemory) -> PolicyMemory:
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


def _read_late(beat: Beat, memory: PolicyMemory) -> list[Interval]:
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


def _has_news(beat: Beat, memory: PolicyMemory, written: Sequence[Interval]) -> bool:
    """Say whether the newest window was among those that rows came for, and a trigger watches it.

    Where rows are loaded once a day the newest window is always empty as it closes: triggers that
    judge it would never hold.
    """
    newest = any(window.end == memory.closed_until for window in written)
    return newest and watches_readings(beat.in_force.policy, beat.now)


def _read_closed(beat: Beat, memory: PolicyMemory) -> PolicyMemory:
    """Read the windows that closed and whose batches are drained, oldest first."""
    width = beat.in_force.policy.data.window
    watched: Watched | None = None
    all_closed = closed_windows(memory.closed_until, beat.now, width)
    for window in islice(all_closed, MAX_WINDOWS_PER_TICK):
        if not beat.is_drained(window.end) or beat.report.windows >= MANY_WINDOWS:
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
        if beat.serving is not None and comparing.is_watched(beat.in_force.policy):
            beat.report.jobs += comparing.enqueue_joint(beat.session, beat.in_force, window)
        beat.report.jobs += invariant_readings.enqueue_window(beat.session, beat.in_force, window)
        memory = memory._replace(closed_until=window.end, suspicion=look.suspicion)
        beat.report.windows += 1
    return memory


def _lacks_profiles(beat: Beat) -> bool:
    """Have the profiles of a champion made that has none; its windows wait for them."""
    place = (beat.in_force.model_id, beat.in_force.environment)
    return beat.serving is not None and referencing.enqueue_if_needed(
        beat.session, place, beat.serving
    )


def _await_matured(beat: Beat, memory: PolicyMemory) -> PolicyMemory:
    """Move the border of maturity over measured windows; have the next ones measured."""
    data = beat.in_force.policy.data
    asked = 0
    for window in mature_windows(memory, data, beat.now):
        ready = window.end <= memory.closed_until and beat.is_drained(window.end + data.label_delay)
        if not ready or asked >= MAX_WINDOWS_PER_TICK:
            break
        if asked == 0 and measuring.is_measured(beat.session, beat.in_force, window):
            memory = memory._replace(matured_until=window.end)
            beat.report.windows += 1
            continue
        if measuring.enqueue_measure(beat.session, beat.in_force, window, beat.looks):
            beat.report.jobs += 1
            beat.looks = []  # one job does both, unless it was asked for before
        asked += 1
    return memory


def _judge_due(beat: Beat, memory: PolicyMemory) -> PolicyMemory:
    """Judge the moment that is due, once everything before it is read."""
    policy = beat.in_force.policy
    due = due_moment(policy, memory, beat.now)
    if due is None:
        return memory
    memory = notice(memory, due, beat.now)
    return _judge(beat, memory, due) if is_all_read(policy, memory, due) else memory


def _judge(beat: Beat, memory: PolicyMemory, due: datetime) -> PolicyMemory:
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


def _remember(state: PolicyState, beat: Beat, memory: PolicyMemory) -> None:
    state.memory = memory.to_json()
    state.evaluated_until = memory.closed_until
    if beat.fired:
        state.last_fired_at = memory.judged_at
    state.next_fire_at = next_moment(beat.in_force.policy, memory)


def _watched(beat: Beat) -> Watched:
    in_force, serving = beat.in_force, beat.serving
    return monitoring.watched_of(
        rows.model_of(beat.session, in_force.model_id),
        in_force.environment,
        in_force.policy,
        None if serving is None else serving.contract,
        _reference(beat.session, in_force.model_id, serving),
    )


def _reference(session: ReadSession, model_id: int, serving: Serving | None) -> Profile | None:
    if serving is None:
        return None
    reference = profiles.find_reference(session, model_id, serving.champion)
    log = (model_id, serving.contract or "")
    return score_reference(session, log, reference, serving.promoted_at)
