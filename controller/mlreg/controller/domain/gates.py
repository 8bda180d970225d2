"""What a gate is, what it finds, and how several findings make one.

What always holds: a gate is pure: it reads the trial and changes nothing; what it cannot conclude
is inconclusive, and never a pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlreg.controller.domain.metrics.ranking import PLACED, USUAL_PLACES

if TYPE_CHECKING:
    from mlreg.controller.domain.metrics import MetricName
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


class MetricGate(Gate):
    """A gate that compares by one metric.

    Attributes:
        at: how many places of a ranking count, for `ndcg` and `map`; not said: 10.
    """

    at: int | None = Field(default=None, ge=1, le=1_000, exclude_if=lambda at: at is None)

    @property
    @abstractmethod
    def compared(self) -> MetricName:
        """The metric."""

    @property
    def places(self) -> int:
        """How many places of a ranking count."""
        return USUAL_PLACES if self.at is None else self.at

    @model_validator(mode="after")
    def _looks_at_places(self) -> Self:
        if self.at is not None and self.compared not in PLACED:
            message = f"`at` goes with {' and '.join(sorted(PLACED))}, not with {self.compared}"
            raise ValueError(message)
        return self


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return fail if there is one, else inconclusive if there is one, else pass."""
    found = set(outcomes)
    if "fail" in found:
        return "fail"
    return "inconclusive" if "inconclusive" in found else "pass"
