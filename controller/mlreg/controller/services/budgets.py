"""Budgets at work: what is used, whether a run may start, how long it may train.

What always holds: whether a run may start is judged in the transaction that starts it, under the
lock of the one row of the overall budget: of two that race for the last run exactly one gets it. A
run that a person asked for counts, and is held by no budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.budget import (
    WEEK,
    Bound,
    Budget,
    Hold,
    Moment,
    Use,
    judge_budget,
    seconds_left,
    used_of,
)
from mlreg.controller.services import jobs
from mlreg.controller.services.policies import find_policy
from mlreg.controller.services.runs import is_by_hand
from mlreg.controller.store import costs as rows
from mlreg.controller.store.policies import model_of
from mlreg.registry.services import audit

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.store.tables import OverallBudget, Run
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget, and what is used of it."""

    budget: Budget
    use: Use
    now: Moment

    def bounds(self) -> list[Bound]:
        """Return each bound that there can be, with what is used of it."""
        return used_of(self.budget, self.use, self.now)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a run may start.

    Attributes:
        hold: what holds it back; None: it may.
        seconds: how long it may train; None: no budget bounds that.
    """

    hold: Hold | None = None
    seconds: float | None = None


def overall_standing(session: ReadSession, now: datetime) -> Standing:
    """Return the budget of all policies, and what is used of it."""
    moment = Moment(now, rows.real_now(session))
    return Standing(_budget(rows.find_budget(session)), _use(session, moment, None, 0), moment)


def set_overall(session: WriteSession, budget: Budget, *, actor: Actor, now: datetime) -> None:
    """Set the budget of all policies; what was held is judged anew."""
    row = rows.lock_budget(session)
    before = _budget(row)
    if before == budget:
        return
    for name, value in budget.model_dump().items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    jobs.free_held(session)
    body = {"before": before.model_dump(), "after": budget.model_dump()}
    audit.record(session, action="budget.set", subject="budget", actor=actor, body=body, now=now)


def admit(session: WriteSession, run: Run, wall_seconds: float, now: datetime) -> Admission:
    """Judge whether a run may start now; it is granted its seconds of training.

    Args:
        session: the transaction that starts it.
        run: locked.
        wall_seconds: how long its training may take by its own limits.
        now: business time.
    """
    overall = _budget(rows.lock_budget(session))
    own = _own_budget(session, run)
    if is_by_hand(run) or (overall.is_empty and own.is_empty):
        run.granted_seconds = None
        return Admission()
    moment = Moment(now, rows.real_now(session))
    place = (run.model_id, run.environment)
    left: list[float] = []
    for budget, where in ((own, place), (overall, None)):
        if run.attempt:  # another attempt is no other run
            budget = budget.only_seconds()  # noqa: PLW2901 - what is left of it to judge
        if budget.is_empty:
            continue
        use = _use(session, moment, where, run.id or 0)
        hold = judge_budget(budget, use, moment, "overall" if where is None else "policy")
        if hold is not None:
            return Admission(hold)
        seconds = seconds_left(budget, use, moment.real)
        left += [] if seconds is None else [seconds]
    run.granted_seconds = min([*left, wall_seconds]) if left else None
    return Admission(seconds=run.granted_seconds)


def _own_budget(session: ReadSession, run: Run) -> Budget:
    """Return the budget of its deployment's policy as it is now: what a run does is frozen, not it.

    Else who raised a bound would wait for what the old one held, and be busy with it meanwhile.
    """
    if run.policy_id is None:
        return Budget()
    found = find_policy(session, model_of(session, run.model_id), run.environment)
    return Budget() if found is None else found.policy.budget


def _use(session: ReadSession, now: Moment, place: rows.Place | None, but: int) -> Use:
    return Use(
        runs=rows.runs_started(session, now.business - WEEK, place, but),
        seconds=rows.seconds_trained(session, now.real - WEEK, place),
        granted=rows.seconds_granted(session, place, but),
    )


def _budget(row: OverallBudget) -> Budget:
    return Budget(**row.model_dump(exclude={"id"}))
