"""Rows after a change: `{since_change: 20000, check_after: 7d}`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.selections.selection import (
    LEAST_EVALUATED,
    Candidates,
    Chosen,
    Past,
    Selection,
    decayed,
)
from mlreg.controller.domain.windows import HOUR, Interval


class SinceChange(Selection):
    """The rows after the last change point, once there are so many labelled ones.

    A run that a change would start waits until they are there; another one follows `check_after`
    that run, on what came meanwhile. The newest `judge_share` of the rows after the change judges,
    where that is shorter than `evaluate_window`. With `half_life` the rows of `train_window` from
    before the change stay, and count half as often for every half life before it. Where nothing
    changed, it is the sliding window.
    """

    kind: ClassVar[str] = "since_change"
    since_change: int = Field(ge=100, le=20_000_000)
    check_after: Duration | None = None
    half_life: Duration | None = None
    judge_share: float = Field(default=0.25, ge=0.1, le=0.5)
    give_up: Duration = timedelta(days=60)

    @property
    @override
    def waits_for_change(self) -> bool:
        """Whether its rows begin at a change point."""
        return True

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return what is after the change, and before it where that counts too."""
        changed = past.changed_at
        if changed is None or changed >= past.until:
            return (past.sliding,)
        start = changed if self.half_life is None else min(changed, past.sliding.start)
        return (Interval(start, past.until),)

    @override
    def evaluated(self, past: Past, window: timedelta) -> timedelta:
        """Return the share of the time since the change, in whole hours, or the usual window."""
        if past.changed_at is None or past.changed_at >= past.until:
            return window
        share = (past.until - past.changed_at) * self.judge_share // HOUR * HOUR
        return min(window, max(share, LEAST_EVALUATED))

    @override
    def choose(self, rows: Candidates, past: Past) -> Chosen:
        """Weigh the rows from before the change by how long before it they are."""
        if self.half_life is None or past.changed_at is None:
            return Chosen()
        ages = rows.ages(past.changed_at)
        return Chosen(None, np.where(ages > 0, decayed(ages, self.half_life), 1.0))
