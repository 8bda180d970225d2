"""`{champion: auc, margin: 0.002}`: not worse than the champion, nor than the anchor, by a margin.

Non-inferiority: pass when the gain over the champion is above -margin with 95 % confidence, fail
when it is below -margin with as much, else inconclusive. Non-inferiority ratchets (each of many
challengers may be a little worse), so the challenger must also pass against the *anchor*, the last
version that was shown to be better: the margin is spent once between anchors, not every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from mlreg.controller.domain.judging import GateReport, Outcome, worst
from mlreg.controller.domain.metrics import MetricName

if TYPE_CHECKING:
    from mlreg.controller.domain.bootstrap import Difference
    from mlreg.controller.domain.trial import Role, Trial


class ChampionGate(BaseModel):
    """Not worse than champion and anchor.

    Attributes:
        champion: the metric.
        margin: how much worse is still as good, in units of the metric.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    champion: MetricName
    margin: float = Field(default=0.0, ge=0)

    def judge(self, trial: Trial) -> GateReport:
        """Compare with the champion and with the anchor, where there are such."""
        name = f"champion {self.champion}"
        if "champion" not in trial.scores:
            return GateReport(name, "pass", "there is no champion to compare with")
        against: tuple[Role, ...] = ("champion", "anchor")
        gains = {
            role: trial.compare(role, self.champion).gain
            for role in against
            if role in trial.scores
        }
        outcomes = {role: self._outcome(gain) for role, gain in gains.items()}
        over_champion = gains["champion"]
        return GateReport(
            gate=name,
            outcome=worst(outcomes.values()),
            reason="; ".join(self._reason(role, gains[role], outcomes[role]) for role in gains),
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

    def _reason(self, role: str, gain: Difference | None, outcome: Outcome) -> str:
        if gain is None:
            return f"the gain over the {role} is undefined on these rows"
        words = {
            "pass": "not worse than",
            "fail": "worse than",
            "inconclusive": "not shown against",
        }
        return (
            f"{words[outcome]} the {role}: gain {gain.estimate:+.4g}"
            f" [{gain.lower:+.4g}, {gain.upper:+.4g}], margin {self.margin:g}"
        )
