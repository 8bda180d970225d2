"""What a policy says about monitors: slices, what metrics need to be told, business metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlreg.controller.domain.metrics import Options
from mlreg.controller.domain.policy_part import PolicyPart

Folding = Literal["sum", "mean"]


class MonitorRule(PolicyPart):
    """How windows are measured.

    Attributes:
        slices: the columns whose values are measured on their own, each value a slice.
        min_rows: slices with fewer labelled rows are not measured.
        threshold: a score of at least this is a decision for the positive class.
        quantile: what the score of a regression claims to be, for `pinball`.
        at: how many places of a ranking count, for `ndcg`.
        business: how the posted values of a window become one, by name; the mean unless it says.
    """

    slices: tuple[str, ...] = ()
    min_rows: int = Field(default=100, ge=1)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    quantile: float = Field(default=0.5, gt=0, lt=1)
    at: int = Field(default=10, ge=1)
    business: dict[str, Folding] = Field(default_factory=dict)

    @property
    def options(self) -> Options:
        """What the metrics need to be told."""
        return Options(self.threshold, self.quantile, self.at)

    def folding(self, name: str) -> Folding:
        """Return how the values of a business metric become one."""
        return self.business.get(name, "mean")
