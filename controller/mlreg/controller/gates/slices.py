"""`{slices: [origin, carrier], metric: auc, margin: 0.02, min_rows: 200}`: no slice much worse.

A veto, not a second proof: with many slices some are always too small to prove that nothing was
lost, and asking each for proof would hold every challenger. So the gate fails when at least one
slice is shown to be worse than the champion by more than the margin, at 95 % confidence for all
slices together (Bonferroni), and is inconclusive when no slice at all could be judged. Slices with
fewer than `min_rows` rows, with one class, or with rows in too few blocks are named as skipped.

`{slices: [label], metric: log_loss}` cuts by class. Of a ranking the unit is the group: one lies in
a slice with all its rows or not at all, and `min_rows` counts groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.gates import GateReport, MetricGate, Outcome
from mlreg.controller.domain.metrics import MetricName
from mlreg.controller.domain.trial import CONFIDENCE, Mask, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN_SLICES = 500


class SlicesGate(MetricGate):
    """No slice shown to be worse than the champion by more than the margin.

    Attributes:
        slices: the columns to cut by, each on its own.
        margin: in units of the metric.
        min_rows: slices with fewer labelled rows, or groups of a ranking, are skipped.
    """

    slices: tuple[str, ...] = Field(min_length=1)
    metric: MetricName = "auc"
    margin: float = Field(default=0.02, ge=0)
    min_rows: int = Field(default=200, ge=1)

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The columns to cut by."""
        return self.slices

    @property
    @override
    def compared(self) -> MetricName:
        """The metric."""
        return self.metric

    @override
    def judge(self, trial: Trial) -> GateReport:
        """Look at every slice that is large enough."""
        name = f"slices {', '.join(self.slices)} {self.metric}"
        if "champion" not in trial.scores:
            return GateReport(name, "pass", "there is no champion to compare with")
        unknown = [column for column in self.slices if column not in trial.slices]
        if unknown:
            return GateReport(name, "inconclusive", f"the rows have no column {unknown[0]!r}")
        large = list(self._large_slices(trial))
        found = [self._judged(trial, *one, together=len(large)) for one in large]
        return self._report(name, found)

    def _large_slices(self, trial: Trial) -> Iterator[tuple[str, str, Mask]]:
        for column in self.slices:
            for value, mask in trial.cut(column):
                if trial.units(mask) >= self.min_rows:
                    yield column, value, mask

    def _judged(
        self, trial: Trial, column: str, value: str, mask: Mask, *, together: int
    ) -> dict[str, Any]:
        confidence = 1 - (1 - CONFIDENCE) / together
        found = trial.compare(
            "champion", self.metric, mask=mask, at=self.places, confidence=confidence
        )
        gain = found.gain
        return {
            "column": column,
            "value": value,
            "rows": trial.units(mask),
            "challenger": found.challenger,
            "champion": found.other,
            "gain": gain and gain.to_json(),
            "worse": gain is not None and gain.upper < -self.margin,
        }

    def _report(self, name: str, found: list[dict[str, Any]]) -> GateReport:
        judged = [one for one in found if one["gain"] is not None]
        worse = [f"{one['column']}={one['value']}" for one in judged if one["worse"]]
        outcome: Outcome = "fail" if worse else "pass" if judged else "inconclusive"
        reason = {
            "fail": f"worse by more than {self.margin:g} on {', '.join(worse[:5])}",
            "pass": f"none of {len(judged)} slices is shown worse by more than {self.margin:g}",
            "inconclusive": f"no slice could be judged (at least {self.min_rows} rows are needed)",
        }[outcome]
        evidence = {
            "metric": self.metric,
            "margin": self.margin,
            "min_rows": self.min_rows,
            "judged": len(judged),
            "slices": found[:SHOWN_SLICES],
        }
        return GateReport(name, outcome, reason, evidence=evidence)
