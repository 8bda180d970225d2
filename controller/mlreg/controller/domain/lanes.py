"""How a run trains: the rule that picks a lane when a trigger has said that it is time.

What always holds: the lanes are ordered refit < continue < full; a lane is overdue when neither it
nor a fuller one ran for its `every`; the fullest overdue lane wins, else the least full declared
one; whatever cannot be done statefully (no parent, another contract, a full tree budget) is a full
retrain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlreg.controller.domain.durations import Duration

Lane = Literal["refit", "continue", "full"]
LANES: tuple[Lane, ...] = ("refit", "continue", "full")
"""From the least to the fullest."""


class LaneRule(BaseModel):
    """`{every: 1d}`: the longest age of the last run of this lane or of a fuller one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Duration | None = None


class ContinueRule(LaneRule):
    """`{every: 7d, rounds: 20, max_trees: 400}`: trees added per run, and the most a model has."""

    rounds: int = Field(default=20, ge=1, le=10_000)
    max_trees: int = Field(default=400, ge=1, le=100_000)


class Lanes(BaseModel):
    """The lanes that a policy allows; `full` is always possible."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    refit: LaneRule | None = None
    continue_: ContinueRule | None = Field(default=None, alias="continue")
    full: LaneRule = LaneRule()

    @model_validator(mode="after")
    def _fuller_is_rarer(self) -> Lanes:
        lengths = [rule.every for rule in self.rules.values() if rule.every is not None]
        if lengths != sorted(lengths):
            message = "a fuller lane must not be due more often: refit <= continue <= full"
            raise ValueError(message)
        return self

    @property
    def rules(self) -> dict[Lane, LaneRule]:
        """The declared lanes with their rules, from the least to the fullest."""
        found: dict[Lane, LaneRule | None] = {
            "refit": self.refit,
            "continue": self.continue_,
            "full": self.full,
        }
        return {lane: rule for lane, rule in found.items() if rule is not None}


@dataclass(frozen=True, slots=True)
class LaneSituation:
    """What the choice depends on.

    Attributes:
        ages: the age of the last run of each lane; a lane that never ran is absent.
        has_parent: whether there is a champion of the same trainer to start from.
        trees: the number of trees of that champion, None if it is not known.
        contract_changed: whether the feature contract is no longer that of the champion.
    """

    ages: Mapping[Lane, timedelta]
    has_parent: bool
    trees: int | None = None
    contract_changed: bool = False


def choose_lane(lanes: Lanes, situation: LaneSituation) -> Lane:
    """Return the lane of the next run."""
    if not situation.has_parent or situation.contract_changed:
        return "full"
    overdue = [lane for lane in lanes.rules if _overdue(lane, lanes, situation)]
    lane = overdue[-1] if overdue else next(iter(lanes.rules))
    if lane == "continue" and _full_of_trees(lanes.continue_, situation.trees):
        return "full"
    return lane


def _overdue(lane: Lane, lanes: Lanes, situation: LaneSituation) -> bool:
    every = lanes.rules[lane].every
    if every is None:
        return False
    fuller = LANES[LANES.index(lane) :]
    ages = [situation.ages[other] for other in fuller if other in situation.ages]
    return not ages or min(ages) >= every


def _full_of_trees(rule: ContinueRule | None, trees: int | None) -> bool:
    return rule is not None and trees is not None and trees + rule.rounds > rule.max_trees
