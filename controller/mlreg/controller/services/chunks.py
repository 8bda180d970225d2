"""Many policies at once: those of which nothing comes, which is nearly all of them, nearly always.

A chunk of due policies is locked, looked up and judged with some queries in all. Judged by the same
pure function as one policy alone, those that neither fire nor have anything to read are written
back together, and so are those that wait for a window to be measured: at midnight all do. All
others are left as they were, for the tick to take one by one; of those of which windows closed it
is remembered that somebody looked.

What always holds: what is written here is what `tick` would have written for each of them alone; a
policy that cannot be read or judged stops no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from mlreg.client.edge import Edge
from mlreg.controller.domain.evaluating import (
    due_moment,
    is_all_read,
    judge_moment,
    next_moment,
    notice,
)
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.triggers import Finding, Need, View
from mlreg.controller.domain.windows import Interval, closed_windows
from mlreg.controller.services.chunk import Chunk
from mlreg.controller.services.known_policies import find_policies
from mlreg.controller.services.mature_windows import mature_windows, measure_key
from mlreg.controller.store import chunks as rows
from mlreg.controller.store.chunks import DueState, Shown
from mlreg.controller.store.serving import Serving
from mlreg.controller.store.trigger_records import forms_of

if TYPE_CHECKING:
    from mlreg.controller.domain.evaluating import ViewSource
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event
    from mlreg.registry.store.database import WriteSession


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows of the deployments of a chunk."""

    policies: Mapping[int, Policy]
    servings: Mapping[rows.Place, Serving]
    last_runs: Mapping[rows.Place, datetime]
    late: Mapping[rows.Place, datetime]


@dataclass(slots=True)
class _Opened:
    """One policy that is locked, and what is remembered of it; `mature`: the windows that are."""

    state: DueState
    policy: Policy
    memory: PolicyMemory
    before: PolicyMemory
    mature: list[Interval]
    is_closed: bool


@dataclass(slots=True)
class _Case:
    """One policy that has nothing to read: a moment to judge, or none, and then only to move on."""

    state: DueState
    policy: Policy
    memory: PolicyMemory
    before: PolicyMemory
    due: datetime | None
    view: View
    needs: dict[Need, Shown] = field(default_factory=dict)
    findings: Mapping[str, Finding] = field(default_factory=dict)
    is_alone: bool = False

    def look(self, at: datetime) -> View:
        """Return who serves and when the last run was."""
        del at
        return self.view

    def readings(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """Return what was fetched."""
        del at
        found = self.needs.get(need)
        if found is None or need.families:
            self.is_alone = True
            return {}
        return {name: tuple(shown) for name, shown in found.items()}

    def events(self, source: str, seen: int | None, after: datetime) -> Sequence[Event]:
        """Return nothing: a policy that asks for events is judged alone."""
        del source, seen, after
        self.is_alone = True
        return ()

    def judge(self) -> bool:
        """Judge the moment; False when something comes of it, and it is to be judged alone."""
        if self.due is None:
            return True
        with Edge(_leave_alone):
            judged = judge_moment(self.policy, self, self.memory, self.due)
            comes = judged.fires or any(one.missed for one in judged.findings.values())
            if self.is_alone or comes:
                return False
            self.memory, self.findings = judged.memory, judged.findings
            return True
        self.is_alone = True
        return False

    def is_news(self, now: datetime) -> bool:
        """Whether something is to be remembered: another memory, or that nothing is due by now."""
        return self.memory != self.before or next_moment(self.policy, self.memory) > now

    def as_look(self) -> dict[str, object]:
        """Return what was found of its triggers."""
        return {
            "policy_id": self.state.policy_id,
            "moment": self.view.now,
            "found": forms_of(self.findings),
        }

    def as_row(self) -> dict[str, object]:
        """Return what is to be remembered."""
        return {
            "id": self.state.id,
            "memory": self.memory.to_json(),
            "evaluated_until": self.memory.closed_until,
            "next_fire_at": next_moment(self.policy, self.memory),
        }


def judge_chunk(session: WriteSession, ids: Sequence[int], now: datetime) -> Chunk:
    """Judge the policies of these states of which nothing comes, and move them on.

    Args:
        session: one transaction for all of them; their rows stay locked until its end.
        ids: of due states; those that another controller has are passed over.
        now: business time.
    """
    states = rows.lock_due(session, ids, now)
    known = _look_up(session, states)
    opened = [one for state in states if (one := _open(state, known, now)) is not None]
    moved = _move_over_measured(session, opened)
    cases = [case for one in moved if (case := _case_of(one, known, now)) is not None]
    _fetch(session, cases)
    done = [case for case in cases if case.judge()]
    if done:
        rows.record(session, [case.as_look() for case in done if case.findings])
        rows.remember(session, [case.as_row() for case in done if case.is_news(now)])
    return _outcome(ids, opened, done)


def _outcome(ids: Sequence[int], opened: Sequence[_Opened], done: Sequence[_Case]) -> Chunk:
    """Return what became of these states: who is done, whose windows closed, and who is left."""
    closed = {one.state.id for one in opened if one.is_closed}
    finished = {case.state.id for case in done} | closed
    return Chunk(
        judged=sum(case.due is not None for case in done),
        left=[one for one in ids if one not in finished],
        closed=[one for one in ids if one in closed],
        windows=sum(case.memory.matured_until > case.before.matured_until for case in done),
    )


def _look_up(session: WriteSession, states: Sequence[DueState]) -> _Known:
    models = list({state.model_id for state in states})
    return _Known(
        policies=find_policies(session, [state.policy_id for state in states]),
        servings=rows.servings(session, models),
        last_runs=rows.last_runs(session, [state.place for state in states]),
        late=rows.late_since(session, models),
    )


def _open(state: DueState, known: _Known, now: datetime) -> _Opened | None:
    """Return what is remembered of a policy; None: take it alone."""
    policy = known.policies.get(state.policy_id)
    if policy is None:
        return None
    memory = PolicyMemory.from_json(json.loads(state.memory))
    if known.late.get(state.place, memory.closed_until) < memory.closed_until:
        return None
    if memory.collection is not None:  # a run may come of it without any trigger
        return None
    data, mature, is_closed = policy.data, list[Interval](), False
    if memory.closed_until + data.window <= now:  # else there is none, and looking is dear
        is_closed = any(True for _ in closed_windows(memory.closed_until, now, data.window))
    if memory.matured_until + data.window + data.label_delay <= now:
        mature = list(islice(mature_windows(memory, data, now), 2))
    return _Opened(state, policy, memory, memory, mature, is_closed)


def _move_over_measured(session: WriteSession, opened: Sequence[_Opened]) -> list[_Opened]:
    """Move the borders of maturity over windows that are measured by now.

    Left out are those of which a window is yet to be asked for, which is done alone.
    """
    waiting = [one for one in opened if _is_next(one)]
    asked = [(one.state.place, one.mature[0]) for one in waiting]
    keys = [(*of, measure_key(*of)) for of in asked]
    found = rows.measures_of(session, keys) if keys else []
    undrained = rows.waiting_since(session, [place[0] for place, _ in asked]) if asked else {}
    stay = set()
    for one, measure in zip(waiting, found, strict=True):
        since, end = undrained.get(one.state.model_id), one.mature[0].end
        is_drained = since is None or since > end + one.policy.data.label_delay
        if is_drained and measure == "done":
            one.memory = one.memory._replace(matured_until=end)
        if measure is not None or not is_drained:
            stay.add(one.state.id)
    return [one for one in opened if one.is_closed or not one.mature or one.state.id in stay]


def _is_next(one: _Opened) -> bool:
    """Say whether one window is mature, which was read when it closed, and none is to be read."""
    if one.is_closed or len(one.mature) != 1:
        return False
    return one.mature[0].end <= one.memory.closed_until


def _case_of(opened: _Opened, known: _Known, now: datetime) -> _Case | None:
    """Return the case of a policy with nothing to read or to watch; None: take it alone."""
    state, policy, memory = opened.state, opened.policy, opened.memory
    serving = known.servings.get(state.place)
    if not opened.is_closed and _is_guarded(policy, serving, memory):
        return None
    due = due_moment(policy, memory, now)
    if due is not None:
        memory = notice(memory, due, now)
        if not is_all_read(policy, memory, due):
            due = None
    if opened.is_closed:  # it is judged when they are read
        due = None
    view = _view(policy, memory, (serving, known.last_runs.get(state.place)), due or now)
    needs = {} if due is None else _needs(policy, view)
    return None if needs is None else _Case(state, policy, memory, opened.before, due, view, needs)


def _is_guarded(policy: Policy, serving: Serving | None, memory: PolicyMemory) -> bool:
    if not policy.guards or serving is None:
        return False
    longest = max(rule.watch for rule in policy.guards) + policy.data.window
    return memory.matured_until <= serving.promoted_at + longest


def _view(
    policy: Policy,
    memory: PolicyMemory,
    served: tuple[Serving | None, datetime | None],
    at: datetime,
) -> View:
    serving, last_run = served
    return View(
        now=at,
        previous=memory.judged_at,
        width=policy.data.window,
        watermark=None if last_run is None else last_run - policy.data.label_delay,
        last_run_at=last_run,
        promoted_at=None if serving is None else serving.promoted_at,
        champion=None if serving is None else serving.champion,
    )


def _leave_alone(error: Exception) -> None:
    """Stop no other policy by a trigger's bug: it is told where its policy is judged alone."""
    del error


def _needs(policy: Policy, view: View) -> dict[Need, Shown] | None:
    """Return what the triggers need to be shown, still empty; None: one cannot even say that."""
    with Edge(_leave_alone):
        return {trigger.need(view): {} for trigger in policy.triggers}
    return None


def _fetch(session: WriteSession, cases: Sequence[_Case]) -> None:
    """Read what all of them need, at once."""
    asked = [(case, need) for case in cases for need in case.needs]
    if not asked:
        return
    wanted = [rows.Wanted(case.state.place, need, case.view.now) for case, need in asked]
    for (case, need), shown in zip(asked, rows.readings_of(session, wanted), strict=True):
        case.needs[need] = shown


if TYPE_CHECKING:
    _PROOF: type[ViewSource] = _Case
