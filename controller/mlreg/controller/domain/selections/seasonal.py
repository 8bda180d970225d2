"""The same season of last year beside the newest rows: `{seasonal: 365d, width: 21d}`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Self

from pydantic import Field, model_validator
from typing_extensions import override

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.selections.selection import Past, Selection
from mlreg.controller.domain.windows import WEEK, Interval, merge_intervals


class Seasonal(Selection):
    """The rows around the same time of earlier seasons, and those of `train_window`.

    `seasonal` is how long a season's turn takes (364d keeps the days of the week), `width` how far
    to either side of it rows are taken, `turns` how many turns back. What is before the first row
    is left out.
    """

    kind: ClassVar[str] = "seasonal"
    seasonal: Duration
    width: Duration = timedelta(days=21)
    turns: int = Field(default=1, ge=1, le=20)

    @model_validator(mode="after")
    def _is_longer_than_its_width(self) -> Self:
        if self.seasonal < WEEK or 2 * self.width > self.seasonal:
            message = "a season takes a week at least, and twice its width at least"
            raise ValueError(message)
        return self

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return the stretches of earlier turns and the newest one; touching ones become one."""
        centres = [past.until - turn * self.seasonal for turn in range(1, self.turns + 1)]
        first = past.first or centres[-1] - self.width
        earlier = [
            Interval(max(centre - self.width, first), min(centre + self.width, past.until))
            for centre in centres
            if centre + self.width > first
        ]
        return merge_intervals([*earlier, past.sliding])
