"""What a gate is, what it finds, and how several findings make one.

What always holds: a gate is pure: it reads the trial and changes nothing; what it cannot conclude
is inconclusive, and never a pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from mlreg.controller.domain.trial import Trial

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class GateReport:
    """What one gate found.

    Attributes:
        superior: whether the challenger is shown to be better than the champion by this gate;
            None for gates that do not compare with it.
        evidence: intervals, values and margins, as JSON.
    """

    gate: str
    outcome: Outcome
    reason: str
    superior: bool | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "gate": self.gate,
            "outcome": self.outcome,
            "reason": self.reason,
            "superior": self.superior,
            "evidence": dict(self.evidence),
        }


class Gate(BaseModel):
    """One named check of a challenger; a subclass is one file with typed fields.

    Third parties add theirs by the entry point group `mlreg.gates`, under the key that names it in
    a policy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def judge(self, trial: Trial) -> GateReport:
        """Return pass, fail, or inconclusive, with the evidence."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that `judge` cuts the rows by; the trial has no others."""
        return ()


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return fail if there is one, else inconclusive if there is one, else pass."""
    found = set(outcomes)
    if "fail" in found:
        return "fail"
    return "inconclusive" if "inconclusive" in found else "pass"
