"""The trigger of volume before labels: `{predictions: 100000}`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.readings import usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View

LONGEST_LOOK = timedelta(days=400)
MONITOR = "rows"


class PredictionsTrigger(Trigger):
    """Holds when enough predictions were logged since the last run, labelled or not.

    They are counted by closed windows; hours of an outage do not count.
    """

    kind: ClassVar[str] = "predictions"

    predictions: int = Field(ge=1)

    @property
    @override
    def monitors(self) -> tuple[str, ...]:
        """The count of rows."""
        return (MONITOR,)

    @override
    def need(self, view: View) -> Need:
        """Return the counts of rows since the last run."""
        return Need((MONITOR,), view.last_run_at or view.now - LONGEST_LOOK)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether the windows that closed after the last run have enough rows."""
        after = self.need(view).after
        counted = [
            one
            for one in usable(view.readings.get(MONITOR, ()))
            if after is None or one.end > after
        ]
        rows = sum(round(one.value or 0.0) for one in counted)
        reading: dict[str, object] = {
            "monitor": MONITOR,
            "value": rows,
            "windows": len(counted),
            "after": after.isoformat() if after else None,
        }
        because = f"{rows:,} of {self.predictions:,} predictions since the last run"
        short = self.predictions - rows
        missing = f"{short:,} more predictions" if short > 0 else ""
        return Finding(rows >= self.predictions, because, (reading,), missing)
