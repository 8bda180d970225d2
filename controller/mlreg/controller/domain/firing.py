"""What comes of a firing: a run, or the rule that held it back.

What always holds: a firing is recorded either way. The first rule that says no names the outcome:
archived, quiet, frozen, outage, busy, cooldown, budget. None of them stops a person, but for a
model that is archived or deleted, and a run that is open already. What would be lost waits until it
is over (`settling.py`). `missed` is written where due times passed while nobody looked, and the
trigger does not want them caught up; `collecting` where a run waits for rows after a change
(`collecting.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from mlreg.controller.domain.budget import Budget, Hold, Moment, Spent, Use, judge_budget

Outcome = Literal[
    "run",
    "archived",
    "quiet",
    "frozen",
    "outage",
    "busy",
    "cooldown",
    "budget",
    "missed",
    "collecting",
]
TRAIN_WEEK = timedelta(days=7)
LEAST_WAIT = timedelta(minutes=1)
"""Real seconds that business time does not follow are not waited for one by one."""


class Ruling(NamedTuple):
    """What comes of a firing; `until`: when what holds it back ends, None where nobody knows."""

    outcome: Outcome
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of this policy's deployment: when it was asked for, and the seconds it trained.

    One that ended before it `began` counts for the cooldown, and costs nothing of the budget.
    """

    at: datetime
    train_seconds: float = 0.0
    began: bool = True


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What was used of the seconds of training, and the real time it is."""

    now: datetime
    seconds: Sequence[Spent] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything that can hold a run back.

    Attributes:
        quiet: whether these are the policy's quiet hours.
        by_hand: whether a person asked for it.
        cooldown_until: the deployment's own (after a guard's rollback), or None.
        archived: whether the model is, or is deleted: it takes no version.
        busy: whether a run of this deployment is queued or running.
        runs: those of the last week, in any order.
        spent: the seconds of training by real time; None: those of `runs`, at their own moments.
    """

    quiet: bool = False
    by_hand: bool = False
    archived: bool = False
    frozen: bool = False
    outage: bool = False
    busy: bool = False
    cooldown_until: datetime | None = None
    runs: Sequence[PastRun] = field(default_factory=tuple)
    spent: Budgeted | None = None


def judge_firing(
    at: datetime, circumstances: Circumstances, *, cooldown: timedelta, budget: Budget
) -> Outcome:
    """Return what comes of a firing at that moment (business time)."""
    if circumstances.archived:
        return "archived"
    if circumstances.by_hand:
        return "busy" if circumstances.busy else "run"
    rules: tuple[tuple[bool, Outcome], ...] = (
        (circumstances.quiet, "quiet"),
        (circumstances.frozen, "frozen"),
        (circumstances.outage, "outage"),
        (circumstances.busy, "busy"),
        (_cooling(at, circumstances, cooldown), "cooldown"),
        (budget_hold(at, circumstances, budget) is not None, "budget"),
    )
    return next((outcome for holds, outcome in rules if holds), "run")


def find_end(
    outcome: Outcome,
    at: datetime,
    circumstances: Circumstances,
    *,
    cooldown: timedelta,
    budget: Budget,
) -> datetime | None:
    """Return when the cooldown is over, or the budget free again; None: of others nobody knows."""
    if outcome == "cooldown":
        return max(_cooldowns(circumstances, cooldown))
    if outcome != "budget":
        return None
    hold = budget_hold(at, circumstances, budget)
    if hold is None or hold.frees_at is None:
        return None
    if not hold.is_real or circumstances.spent is None:
        return hold.frees_at
    return at + max(hold.frees_at - circumstances.spent.now, LEAST_WAIT)


def _cooling(at: datetime, circumstances: Circumstances, cooldown: timedelta) -> bool:
    return any(at < until for until in _cooldowns(circumstances, cooldown))


def _cooldowns(circumstances: Circumstances, cooldown: timedelta) -> list[datetime]:
    until = circumstances.cooldown_until
    ends = [run.at + cooldown for run in circumstances.runs]
    return ends if until is None else [*ends, until]


def budget_hold(at: datetime, circumstances: Circumstances, budget: Budget) -> Hold | None:
    """Return the bound of a policy's budget that is used up at that moment, if one is."""
    runs, spent = circumstances.runs, circumstances.spent
    use = Use(
        runs=[Spent(run.at) for run in runs if run.began],
        seconds=[Spent(run.at, run.train_seconds) for run in runs]
        if spent is None
        else spent.seconds,
    )
    return judge_budget(budget, use, Moment(at, at if spent is None else spent.now))
