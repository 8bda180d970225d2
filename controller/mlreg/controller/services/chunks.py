"""Many policies at once: those of which nothing comes, which is nearly all of them, nearly always.

A chunk of due policies is locked, looked up and judged with some queries in all. Judged by the same
pure function as one policy alone, those that neither fire nor have anything to read are written
back together. All others are left as they were, for the tick to take one by one.

What always holds: what is written here is what `tick` would have written for each of them alone; a
policy that cannot be read or judged stops no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
from mlreg.controller.services.known_policies import find_policies
from mlreg.controller.store import chunks as rows
from mlreg.controller.store.chunks import DueState, Shown
from mlreg.controller.store.serving import Serving
from mlreg.controller.store.trigger_records import forms_of

if TYPE_CHECKING:
    from mlreg.controller.domain.evaluating import ViewSource
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event
    from mlreg.registry.store.database import WriteSession


@dataclass(slots=True)
class Chunk:
    """What became of some policies that were judged together.

    Attributes:
        judged: how many policies were judged, and nothing came of it.
        left: the ids of the states that are to be taken one by one.
    """

    judged: int = 0
    left: list[int] = field(default_factory=list)

    def with_others(self, others: Chunk) -> Chunk:
        """Return what became of these and of others."""
        return Chunk(self.judged + others.judged, [*self.left, *others.left])


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows of the deployments of a chunk."""

    policies: Mapping[int, Policy]
    servings: Mapping[rows.Place, Serving]
    last_runs: Mapping[rows.Place, datetime]
    late: frozenset[rows.Place]


@dataclass(slots=True)
class _Case:
    """One policy that has nothing to read: a moment to judge, or none, and then only to move on."""

    state: DueState
    policy: Policy
    memory: PolicyMemory
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
    cases = [case for state in states if (case := _case_of(state, known, now)) is not None]
    _fetch(session, cases)
    done = [case for case in cases if case.judge()]
    if done:
        rows.record(session, [case.as_look() for case in done if case.findings])
        rows.remember(session, [case.as_row() for case in done])
    finished = {case.state.id for case in done}
    return Chunk(
        judged=sum(case.due is not None for case in done),
        left=[one for one in ids if one not in finished],
    )


def _look_up(session: WriteSession, states: Sequence[DueState]) -> _Known:
    models = list({state.model_id for state in states})
    return _Known(
        policies=find_policies(session, [state.policy_id for state in states]),
        servings=rows.servings(session, models),
        last_runs=rows.last_runs(session, [state.place for state in states]),
        late=frozenset(rows.late_places(session, models)),
    )


def _case_of(state: DueState, known: _Known, now: datetime) -> _Case | None:
    """Return the case of a policy with nothing to read or to watch; None: take it alone."""
    policy = known.policies.get(state.policy_id)
    if policy is None or state.place in known.late:
        return None
    memory = PolicyMemory.from_json(json.loads(state.memory))
    serving = known.servings.get(state.place)
    if memory.collection is not None:  # a run may come of it without any trigger
        return None
    if _has_windows(policy, memory, now) or _is_guarded(policy, serving, memory):
        return None
    due = due_moment(policy, memory, now)
    if due is not None:
        memory = notice(memory, due, now)
        if not is_all_read(policy, memory, due):
            due = None
    view = _view(policy, memory, (serving, known.last_runs.get(state.place)), due or now)
    needs = {} if due is None else _needs(policy, view)
    return None if needs is None else _Case(state, policy, memory, due, view, needs)


def _has_windows(policy: Policy, memory: PolicyMemory, now: datetime) -> bool:
    """Say whether windows closed or matured that are not read yet."""
    data = policy.data
    closed = memory.closed_until + data.window <= now
    return closed or memory.matured_until + data.window + data.label_delay <= now


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
