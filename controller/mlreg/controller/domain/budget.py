"""What retraining may take: bounds on runs and on seconds of training, for one policy or for all.

What always holds: runs are counted by business time, seconds of training by real time, for that is
when they were paid for; a run that is still training counts with all the seconds that it was
granted, so the bound holds however many train at once. A run that a person asked for counts, and is
never held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.policy_part import PolicyPart

Whose = Literal["policy", "overall"]
DAY, WEEK = timedelta(days=1), timedelta(days=7)
LEAST_SECONDS = 1.0
"""With less left than this no training begins."""


class Budget(PolicyPart):
    """`{runs_per_day: 4, train_seconds_per_week: 3600}`; a bound that is left out does not exist.

    The day and the week are those up to now, not those of a calendar.

    Attributes:
        runs_per_day: so many runs may start in 24 hours.
        runs_per_week: so many runs may start in 7 days.
        train_seconds_per_day: so many seconds may be trained in 24 hours of real time.
        train_seconds_per_week: so many seconds may be trained in 7 days of real time.
    """

    runs_per_day: int | None = Field(default=None, ge=0)
    runs_per_week: int | None = Field(default=None, ge=0)
    train_seconds_per_day: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    train_seconds_per_week: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is bounded."""
        return not any(self.bound_of(*one) is not None for one in _BOUNDS)

    def only_seconds(self) -> Budget:
        """Return its bounds on seconds of training alone."""
        return self.model_copy(update={"runs_per_day": None, "runs_per_week": None})

    def bound_of(self, what: What, within: timedelta) -> float | None:
        """Return one bound."""
        bound: float | None = getattr(self, _name(what, within))
        return bound


What = Literal["runs", "train_seconds"]
_BOUNDS: tuple[tuple[What, timedelta], ...] = (
    ("runs", DAY),
    ("runs", WEEK),
    ("train_seconds", DAY),
    ("train_seconds", WEEK),
)


class Bound(NamedTuple):
    """One bound (None: it does not exist), and what is used of it."""

    bound: str
    allowed: float | None
    used: float


class Spent(NamedTuple):
    """What was used at a moment: one run, or some seconds of training."""

    at: datetime
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Use:
    """What was used of a budget so far.

    Attributes:
        runs: those of the last week, by business time.
        seconds: of training in the last week, by real time.
        granted: seconds that runs may still train that are training now.
    """

    runs: Sequence[Spent] = ()
    seconds: Sequence[Spent] = ()
    granted: float = 0.0


class Moment(NamedTuple):
    """Now, on both clocks."""

    business: datetime
    real: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """The bound that holds a run back.

    Attributes:
        frees_at: when enough of it is free again; None: when a run that trains now ends, or never.
        is_real: whether that is real time, not business time.
    """

    whose: Whose
    bound: str
    used: float
    allowed: float
    frees_at: datetime | None
    is_real: bool
    granted: float = field(default=0.0)

    @override
    def __str__(self) -> str:
        of = "the policy's budget" if self.whose == "policy" else "the budget of all policies"
        granted = (
            f", {self.granted:g} of them granted to runs that train now" if self.granted else ""
        )
        return (
            f"{of} {self.bound}: {self.used:g} of {self.allowed:g} are used{granted}; {self._frees}"
        )

    @property
    def _frees(self) -> str:
        if self.frees_at is not None:
            return f"free again at {self.frees_at:%Y-%m-%d %H:%M:%S} UTC"
        return "free again when one of them ends" if self.granted else "it never frees"


def judge_budget(budget: Budget, use: Use, now: Moment, whose: Whose = "policy") -> Hold | None:
    """Return what holds the next run back, the bound that frees last; None: it may start."""
    holds = [
        hold
        for what, within in _BOUNDS
        if (hold := _judge(budget, use, now, whose, what, within)) is not None
    ]
    if not holds:
        return None
    return max(holds, key=lambda hold: (hold.frees_at is None, hold.frees_at or now.real))


def used_of(budget: Budget, use: Use, now: Moment) -> list[Bound]:
    """Return each bound that there can be, with what is used of it; granted seconds are used."""
    found = []
    for what, within in _BOUNDS:
        is_real = what == "train_seconds"
        used = _within(use.seconds if is_real else use.runs, now[is_real], within)
        allowed = budget.bound_of(what, within)
        found.append(Bound(_name(what, within), allowed, used + is_real * use.granted))
    return found


def seconds_left(budget: Budget, use: Use, real: datetime) -> float | None:
    """Return how long a run may train that starts now; None: as long as it likes."""
    left = [
        bound - use.granted - _within(use.seconds, real, within)
        for what, within in _BOUNDS
        if what == "train_seconds" and (bound := budget.bound_of(what, within)) is not None
    ]
    return max(0.0, min(left)) if left else None


def _judge(
    budget: Budget, use: Use, now: Moment, whose: Whose, what: What, within: timedelta
) -> Hold | None:
    allowed = budget.bound_of(what, within)
    if allowed is None:
        return None
    is_real = what == "train_seconds"
    spent, at = (use.seconds, now.real) if is_real else (use.runs, now.business)
    granted, least = (use.granted, LEAST_SECONDS) if is_real else (0.0, 1.0)
    used = _within(spent, at, within)
    if used + granted + least <= allowed:
        return None
    return Hold(
        whose=whose,
        bound=_name(what, within),
        used=used + granted,
        allowed=allowed,
        frees_at=_frees_at(spent, at, within, allowed - least),
        is_real=is_real,
        granted=granted,
    )


def _name(what: What, within: timedelta) -> str:
    return f"{what}_per_{'day' if within == DAY else 'week'}"


def _within(spent: Sequence[Spent], at: datetime, within: timedelta) -> float:
    return sum(one.amount for one in spent if one.at > at - within)


def _frees_at(
    spent: Sequence[Spent], at: datetime, within: timedelta, allowed: float
) -> datetime | None:
    """Return when what was used has shrunk to what is allowed; None: it has already, or never."""
    ordered = sorted(one for one in spent if one.at > at - within)
    left = sum(one.amount for one in ordered)
    for one in ordered:
        if left <= allowed:
            break
        left -= one.amount
        freed = one.at + within
        if left <= allowed:
            return freed
    return None
