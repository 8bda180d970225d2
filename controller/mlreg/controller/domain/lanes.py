"""How a run trains: the rule that picks a lane when a trigger has said that it is time.

What always holds: the lanes are ordered refit < continue < full; a lane is overdue when neither it
nor a fuller one ran for its `every`; the fullest overdue lane wins, else the least full declared
one; whatever cannot be done statefully (no parent, another contract, a full tree budget) is a full
retrain, and so is what follows `after` stateful runs. A refresh on new rows is a *data iteration*
and may be stateful; another feature contract, trainer or objective is a *model iteration* and never
is. Every choice says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlreg.controller.domain.durations import Duration, spell_duration

if TYPE_CHECKING:
    from mlreg.registry.domain.target_contract import TargetContract

Lane = Literal["refit", "continue", "full"]
LANES: tuple[Lane, ...] = ("refit", "continue", "full")
"""From the least to the fullest."""
NOT_TO_CONTINUE = frozenset({"parent_mismatch", "tree_budget", "no_tree_grown"})
"""Codes of a trainer that finds that a parent cannot be continued: a full retrain may go well."""
ASKED_FOR = "it was asked for"
"""Why a run has its lane where a person named it."""


class LaneRule(BaseModel):
    """`{every: 1d}`: the longest age of the last run of this lane or of a fuller one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Duration | None = None


class ContinueRule(LaneRule):
    """`{every: 7d, rounds: 20, max_trees: 400}`: trees added per run, and the most a model has.

    Attributes:
        every: the longest age of the last run of this lane or of a fuller one.
        rounds: how many trees a run adds.
        max_trees: the most trees that a model has; beyond them it is trained in full.
    """

    rounds: int = Field(default=20, ge=1, le=10_000)
    max_trees: int = Field(default=400, ge=1, le=100_000)


class FullRule(LaneRule):
    """`{every: 28d, after: 12}`: also due after so many stateful runs, however soon they came.

    Attributes:
        every: the longest age of the last full retrain.
        after: it is due after so many stateful runs, however soon they came.
    """

    after: int | None = Field(default=None, ge=1, le=10_000)


class Lanes(BaseModel):
    """The lanes that a policy allows; `full` is always possible."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    refit: LaneRule | None = None
    continue_: ContinueRule | None = Field(default=None, alias="continue")
    full: FullRule = FullRule()

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
        trees_per_round: how many a round adds: one, or one per class.
        contract_changed: what makes it a model iteration; None where it is a data iteration.
        stateful_runs: how many stateful runs there were since the last full one.
    """

    ages: Mapping[Lane, timedelta]
    has_parent: bool
    trees: int | None = None
    contract_changed: str | None = None
    stateful_runs: int = 0
    trees_per_round: int = 1


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """A lane, and why it is that one, in half a sentence."""

    lane: Lane
    because: str


def trees_per_round(target: TargetContract) -> int:
    """Return how many trees a boosting round adds: of several classes one for each."""
    return len(target.classes) if target.task == "multiclass" else 1


def choose_lane(lanes: Lanes, situation: LaneSituation) -> Lane:
    """Return the lane of the next run."""
    return explain_lane(lanes, situation).lane


def explain_lane(lanes: Lanes, situation: LaneSituation) -> LaneChoice:
    """Return the lane of the next run, and why it is that one."""
    obstacle = _obstacle(lanes, situation)
    if obstacle is not None:
        return LaneChoice("full", obstacle)
    overdue = [lane for lane in lanes.rules if _overdue(lane, lanes, situation)]
    lane = overdue[-1] if overdue else next(iter(lanes.rules))
    if lane == "continue" and lanes.continue_ is not None:
        beyond = _beyond(lanes.continue_, situation)
        if beyond is not None:
            return LaneChoice("full", beyond)
    if overdue:
        return LaneChoice(lane, _spell_overdue(lane, lanes, situation))
    return LaneChoice(lane, "no lane is overdue, and it is the least full one")


def _obstacle(lanes: Lanes, situation: LaneSituation) -> str | None:
    """Say why nothing can be done statefully; None when it can."""
    if not situation.has_parent:
        return "there is no champion to begin with"
    if situation.contract_changed is not None:
        return f"a model iteration: {situation.contract_changed}"
    after = lanes.full.after
    if after is not None and situation.stateful_runs >= after:
        return f"{situation.stateful_runs} stateful runs since the last full one, after {after}"
    return None


def _overdue(lane: Lane, lanes: Lanes, situation: LaneSituation) -> bool:
    every, age = lanes.rules[lane].every, _age(lane, situation)
    return every is not None and (age is None or age >= every)


def _age(lane: Lane, situation: LaneSituation) -> timedelta | None:
    """Return the age of the last run of this lane or of a fuller one."""
    fuller = LANES[LANES.index(lane) :]
    return min((situation.ages[one] for one in fuller if one in situation.ages), default=None)


def _spell_overdue(lane: Lane, lanes: Lanes, situation: LaneSituation) -> str:
    age, every = _age(lane, situation), lanes.rules[lane].every or timedelta()
    ran = "never ran" if age is None else f"ran {spell_duration(age)} ago"
    return f"it (or a fuller lane) {ran}, every {spell_duration(every)}"


def _beyond(rule: ContinueRule, situation: LaneSituation) -> str | None:
    """Say why another `continue` would have too many trees; None when there is room."""
    more = rule.rounds * situation.trees_per_round
    if situation.trees is None or situation.trees + more <= rule.max_trees:
        return None
    return f"the champion's {situation.trees} trees and {more} more are beyond {rule.max_trees}"
