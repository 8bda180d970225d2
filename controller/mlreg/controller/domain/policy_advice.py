"""What a policy is not refused for, but whoever applies it should hear."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.meeting import AHEAD, can_meet
from mlreg.controller.domain.policy_rules import Complaint, Known
from mlreg.controller.domain.windows import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Trigger

NEARLY_ALL = 0.99
ENOUGH = 0.9
SEEN_PERIODS = 8


def advice(policy: Policy, known: Known, now: datetime) -> Iterator[Complaint]:
    """Yield what is unlikely to be meant.

    Args:
        policy: with its defaults.
        known: what is known of its model.
        now: from when on the times of schedules are looked at.
    """
    yield from _of_labels(policy, known)
    yield from _of_judging(policy, known)
    yield from _of_meeting(policy, now)
    yield from _of_cooldown(policy, now)
    yield from _of_budget(policy)


def _of_labels(policy: Policy, known: Known) -> Iterator[Complaint]:
    place, delay = ("data", "label_delay"), policy.data.label_delay
    said = "label_delay" in policy.data.model_fields_set
    spelt = spell_duration(delay)
    if said and delay > max(known.longest_delay, HOUR):
        longest = spell_duration(known.longest_delay)
        yield Complaint(place, f"{spelt} is longer than any label takes by the contract, {longest}")
    if policy.data.evaluate_window < delay:
        window = spell_duration(policy.data.evaluate_window)
        yield Complaint(
            ("data", "evaluate_window"),
            f"{window} is shorter than label_delay ({spelt}): verdicts rest on few days, long ago",
        )
    if known.share_come is None:
        return
    share = known.share_come(delay)
    if share < ENOUGH:
        yield Complaint(place, f"only {share:.0%} of the labels have come by {spelt}")
    elif said and delay >= 2 * HOUR and known.share_come(delay / 2) >= NEARLY_ALL:
        yield Complaint(place, f"half of {spelt} is enough for {NEARLY_ALL:.0%} of the labels")


def _of_judging(policy: Policy, known: Known) -> Iterator[Complaint]:
    if not policy.gates:
        yield Complaint(("gates",), "without a gate no challenger is ever accepted")
    if policy.guards and known.champions < 2:  # noqa: PLR2004 - the live one and one before it
        yield Complaint(("guards",), "there is no previous champion yet to compare with or go to")
    more = policy.retrain.lanes.continue_
    if more is not None and "lanes" not in policy.retrain.model_fields_set:
        full = policy.retrain.rounds + more.rounds > more.max_trees
        if full and policy.retrain.trainer == "lightgbm":
            yield Complaint(
                ("retrain", "rounds"),
                f"a full model has more trees than lanes.continue.max_trees ({more.max_trees})"
                " allows to add to, so that lane turns into full",
            )


def _of_meeting(policy: Policy, now: datetime) -> Iterator[Complaint]:
    wanted, within = policy.combination.at_least, policy.combination.within
    if wanted < 2 or can_meet(policy, now):  # noqa: PLR2004 - one alone needs no other
        return
    counts = spell_duration(within or max(one.patience for one in policy.triggers))
    yield Complaint(
        ("combine",),
        f"{wanted} triggers never hold together in the next {AHEAD.days} days: their times lie"
        f" further apart than one counts ({counts})",
    )


def _of_cooldown(policy: Policy, now: datetime) -> Iterator[Complaint]:
    periods = [_period(trigger, now) for trigger in policy.triggers]
    known = [period for period in periods if period is not None]
    if len(known) == len(periods) and policy.cooldown > max(known):
        longest, cooldown = spell_duration(max(known)), spell_duration(policy.cooldown)
        yield Complaint(
            ("cooldown",),
            f"{cooldown} is longer than the time between two firings (at most {longest}):"
            " most of them will start no run",
        )


def _of_budget(policy: Policy) -> Iterator[Complaint]:
    for what in ("runs", "train_seconds"):
        day, week = (getattr(policy.budget, f"{what}_per_{span}") for span in ("day", "week"))
        if day is not None and week is not None and day > week:
            yield Complaint(
                ("budget", f"{what}_per_day"),
                f"{day:g} are never reached with {week:g} a week",
            )


def _period(trigger: Trigger, now: datetime) -> timedelta | None:
    """Return the longest time between the next due times; None: it has none of its own."""
    moments = [now]
    for _ in range(SEEN_PERIODS):
        due = trigger.next_due(moments[-1])
        if due is None:
            return None
        moments.append(due)
    gaps = [later - earlier for earlier, later in pairwise(moments[1:])]
    return max(gaps, default=DAY)
