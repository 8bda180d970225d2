"""`{champion: auc, margin: 0.002}`: not worse than the champion, nor than the anchor, by a margin.

Non-inferiority: pass when the gain over the champion is above -margin with 95 % confidence, fail
when it is below -margin with as much, else inconclusive. Non-inferiority ratchets (each of many
challengers may be a little worse), so the challenger must also pass against the *anchor*, the last
version that was shown to be better: the margin is spent once between anchors, not every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.gates import GateReport, MetricGate, Outcome, worst
from mlreg.controller.domain.metrics import MetricName

if TYPE_CHECKING:
    from mlreg.controller.domain.bootstrap import Difference
    from mlreg.controller.domain.judging_input import Role
    from mlreg.controller.domain.trial import Trial

AGAINST: tuple[Role, ...] = ("champion", "anchor")


class ChampionGate(MetricGate):
    """Not worse than champion and anchor.

    Attributes:
        champion: the metric.
        margin: how much worse is still as good, in units of the metric.
    """

    champion: MetricName
    margin: float = Field(default=0.0, ge=0)

    @property
    @override
    def compared(self) -> MetricName:
        """The metric."""
        return self.champion

    @override
    def judge(self, trial: Trial) -> GateReport:
        """Compare with the champion and with the anchor, where there are such."""
        name = f"champion {self.champion}"
        if "champion" not in trial.scores:
            return GateReport(name, "pass", "there is no champion to compare with")
        present = [role for role in AGAINST if role in trial.scores]
        gains = {role: trial.compare(role, self.champion, at=self.places).gain for role in present}
        over_champion = gains["champion"]
        return GateReport(
            gate=name,
            outcome=worst(map(self._outcome, gains.values())),
            reason="; ".join(self._reason(role, gain) for role, gain in gains.items()),
            superior=over_champion is not None and over_champion.lower > 0,
            evidence={
                "metric": self.champion,
                "margin": self.margin,
                "gains": {role: gain and gain.to_json() for role, gain in gains.items()},
            },
        )

    def _outcome(self, gain: Difference | None) -> Outcome:
        if gain is None:
            return "inconclusive"
        if gain.lower > -self.margin:
            return "pass"
        return "fail" if gain.upper < -self.margin else "inconclusive"

    def _reason(self, role: str, gain: Difference | None) -> str:
        if gain is None:
            return f"the gain over the {role} is undefined on these rows"
        words = {
            "pass": "not worse than",
            "fail": "worse than",
            "inconclusive": "not shown against",
        }
        return (
            f"{words[self._outcome(gain)]} the {role}: gain {gain.estimate:+.4g}"
            f" [{gain.lower:+.4g}, {gain.upper:+.4g}], margin {self.margin:g}"
        )
