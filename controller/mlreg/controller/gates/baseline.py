"""`{baseline: prior, metric: log_loss}`: shown to be better than knowing nothing.

The prior is a constant score: the mean label of the challenger's training rows where the job says
it, else that of the very rows of the trial (no model can know it, so it is harder to beat); of
several classes their shares; of a ranking the order of chance. Pass
when the gain over it is above the margin with 95 % confidence, fail when it is below with as much,
else inconclusive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.gates import GateReport, MetricGate, Outcome
from mlreg.controller.domain.metrics import MetricName

if TYPE_CHECKING:
    from mlreg.controller.domain.bootstrap import Difference
    from mlreg.controller.domain.trial import Trial


class BaselineGate(MetricGate):
    """Better than the prior.

    Attributes:
        margin: by how much at least, in units of the metric.
    """

    baseline: Literal["prior"]
    metric: MetricName = "log_loss"
    margin: float = Field(default=0.0, ge=0)

    @property
    @override
    def compared(self) -> MetricName:
        """The metric."""
        return self.metric

    @override
    def judge(self, trial: Trial) -> GateReport:
        """Compare with the prior."""
        compared = trial.compare("prior", self.metric, at=self.places)
        gain = compared.gain
        return GateReport(
            gate=f"baseline {self.baseline} {self.metric}",
            outcome=self._outcome(gain),
            reason=_reason(gain),
            evidence={
                "metric": self.metric,
                "margin": self.margin,
                "gain": gain and gain.to_json(),
                "prior": compared.other,
            },
        )

    def _outcome(self, gain: Difference | None) -> Outcome:
        if gain is None:
            return "inconclusive"
        if gain.lower > self.margin:
            return "pass"
        return "fail" if gain.upper < self.margin else "inconclusive"


def _reason(gain: Difference | None) -> str:
    if gain is None:
        return "the gain over the prior is undefined on these rows"
    return f"gain over the prior {gain.estimate:+.4g} [{gain.lower:+.4g}, {gain.upper:+.4g}]"
