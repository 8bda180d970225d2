"""How many triggers of time can hold together: two that are never due near each other never do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Trigger

AHEAD = timedelta(days=400)
"""A year, and the days by which its weeks and months are off."""
MOST_TIMES = 1_000
"""What is due more often is taken to hold always: nothing is claimed that is not so."""


def can_meet(policy: Policy, now: datetime) -> bool:
    """Say whether as many triggers as the policy wants can hold together in the next 400 days.

    Triggers without times of their own may hold at any moment; times are judged as they are due.
    """
    within = policy.combination.within
    times = [_times(one, now) for one in policy.triggers]
    counts = [within or one.patience for one in policy.triggers]
    wanted = policy.combination.at_least - times.count(None)
    last: dict[int, datetime] = {}
    for at, which in sorted((at, which) for which, due in enumerate(times) for at in due or ()):
        last[which] = at
        if sum(at - since < counts[other] for other, since in last.items()) >= wanted:
            return True
    return wanted <= 0


def _times(trigger: Trigger, now: datetime) -> Sequence[datetime] | None:
    """Return when a trigger is due; None: at any moment, as far as can be told."""
    times: list[datetime] = []
    due = trigger.next_due(now)
    while due is not None and due <= now + AHEAD:
        times.append(due)
        if len(times) > MOST_TIMES:
            return None
        due = trigger.next_due(due)
    return None if due is None else times
