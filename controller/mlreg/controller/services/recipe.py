"""A recipe: all that a training job is made of, but for the rows.

What always holds: a run and its rebuild write their jobs here, so what the rebuild does differently
is what the record says differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlreg.controller.domain.commands import SealedCommand
from mlreg.controller.domain.lanes import ContinueRule, Lane
from mlreg.controller.domain.policy import RetrainRule
from mlreg.registry.domain.contracts import FeatureContract

ROWS = "train.parquet"
BINS = "bins.bin"
PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained.

    Attributes:
        target: the target contract's JSON.
        schema: the model's features, to pin where there is no contract yet.
        contract: the feature contract to keep to.
        learns_categories: whether it gets the categories that came since; never in a rebuild.
        has_bins: whether the contract's profile bins lie in the folder.
        parent: the model that a stateful lane begins with, as a job names it.
        command: of the trainer `command`, what is run.
        seed: of this very step; None is the rule's.
        decay_rate: how much of the old leaves `refit` keeps; None is the trainer's default.
    """

    rule: RetrainRule
    lane: Lane
    target: Mapping[str, Any]
    schema: list[dict[str, Any]] | None
    contract: FeatureContract | None
    has_bins: bool
    parent: Mapping[str, Any] | None = None
    command: SealedCommand | None = None
    seed: int | None = None
    decay_rate: float | None = None
    learns_categories: bool = False

    def to_job(self) -> dict[str, Any]:
        """Return the job of a child, see `trainers/child.py`."""
        rule, contract = self.rule, self.contract
        decay = {} if self.decay_rate is None else {"decay_rate": self.decay_rate}
        return {
            "format": 1,
            "trainer": rule.trainer,
            "lane": self.lane,
            "data": [ROWS],
            "target": dict(self.target),
            "schema": self.schema,
            "contract": None if contract is None else contract.to_document(),
            "learns_categories": self.learns_categories,
            "params": dict(rule.params),
            **self._growth(),
            **decay,
            "seed": rule.seed if self.seed is None else self.seed,
            "outages": None if rule.outages is None else rule.outages.model_dump(mode="json"),
            "steps": [step.model_dump(mode="json") for step in rule.steps],
            "estimator": rule.estimator,
            "preparation": rule.preparation.model_dump(mode="json"),
            "command": None if self.command is None else self.command.model_dump(mode="json"),
            "parent": None if self.parent is None else dict(self.parent),
            "bins": BINS if self.has_bins else None,
            "search": self._search(),
        }

    def _search(self) -> dict[str, Any] | None:
        """Return what is searched first: by a full retrain alone, and never by a rebuild."""
        rule = self.rule.search
        return None if rule is None or self.lane != "full" else rule.model_dump(mode="json")

    def _growth(self) -> dict[str, int | None]:
        """Return how many rounds to train, and the most trees that the model may come to have."""
        if self.lane != "continue":
            return {"rounds": self.rule.rounds, "max_trees": None}
        adding = self.rule.lanes.continue_ or ContinueRule()
        return {"rounds": adding.rounds, "max_trees": adding.max_trees}
