"""The trigger of performance: `{performance: auc, drop: 0.02, against: promotion}`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.readings import pool, usable
from mlreg.controller.domain.triggers import Finding, Need, Trigger, View

LONGEST_LOOK = timedelta(days=400)


class PerformanceTrigger(Trigger):
    """Holds when skill has dropped since the champion was promoted.

    Skill is how much better the model is than the prior (the constant that fits best) on the same
    rows: raw loss moves with the seasons, skill does much less. Its value at promotion is that of
    the first matured windows after it with `min_rows` labelled rows; today's is that of the last
    ones; the two never share a window. Outage windows are left out.
    """

    kind: ClassVar[str] = "performance"

    performance: Literal["auc", "log_loss", "brier", "rmse", "mae"]
    drop: float = Field(gt=0)
    against: Literal["promotion"] = "promotion"
    min_rows: int = Field(default=1_000, ge=1)

    @property
    def monitor(self) -> str:
        """The monitor whose readings this trigger judges."""
        return f"skill_{self.performance}"

    @override
    def need(self, view: View) -> Need:
        """Return the skill since the promotion."""
        return Need((self.monitor,), view.promoted_at or view.now - LONGEST_LOOK)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether the newest windows have lost `drop` of the first ones' skill."""
        since = view.promoted_at
        if since is None:
            return Finding(holds=False, because="nothing is promoted")
        windows = [one for one in usable(view.readings.get(self.monitor, ())) if one.start >= since]
        first = pool(windows, min_rows=self.min_rows)
        rest = windows[len(first.readings) :] if first is not None else []
        last = pool(reversed(rest), min_rows=self.min_rows)
        if first is None or last is None:
            return Finding(holds=False, because="too few labelled rows since the promotion")
        lost = first.value - last.value
        because = f"skill ({self.performance}) {first.value:.4f} at promotion, {last.value:.4f} now"
        reading: dict[str, object] = {
            "monitor": self.monitor,
            "at_promotion": first.value,
            "now": last.value,
            "rows": last.rows,
            "windows": [one.start.isoformat() for one in reversed(last.readings)],
        }
        return Finding(lost >= self.drop, because, (reading,))
