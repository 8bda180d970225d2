"""The trigger of volume: `{labelled_rows: 20000}`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.readings import usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View

LONGEST_LOOK = timedelta(days=400)


class LabelledRowsTrigger(Trigger):
    """Holds when enough rows came to be labelled since the data of the last run.

    A row counts once however often its label was sent: the reading `labelled` counts the joined
    predictions of a matured window.
    """

    kind: ClassVar[str] = "labelled_rows"

    labelled_rows: int = Field(ge=1)

    @property
    @override
    def monitors(self) -> tuple[str, ...]:
        """The count of labelled rows."""
        return ("labelled",)

    @override
    def need(self, view: View) -> Need:
        """Return the counts of labelled rows since the watermark."""
        return Need(("labelled",), view.watermark or view.now - LONGEST_LOOK)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether the windows after the watermark have enough labelled rows."""
        after = self.need(view).after
        counted = [
            one
            for one in usable(view.readings.get("labelled", ()))
            if after is None or one.end > after
        ]
        rows = sum(round(one.value or 0.0) for one in counted)
        because = f"{rows:,} of {self.labelled_rows:,} newly labelled rows"
        reading: dict[str, object] = {
            "monitor": "labelled",
            "value": rows,
            "windows": len(counted),
            "after": after.isoformat() if after else None,
        }
        short = self.labelled_rows - rows
        missing = f"{short:,} more labelled rows" if short > 0 else ""
        return Finding(rows >= self.labelled_rows, because, (reading,), missing)
