"""The grid of a backtest: which policies are replayed, as a YAML file names them.

```yaml
triggers:                                   # each by a name of your own
  weekly: [{schedule: "0 3 * * 1"}]
  drift:  [{drift: psi, unusual: true, windows: 2}]
lanes:
  full:   {full: {}}
  refit:  {refit: {}, full: {every: 28d}}
selections:                                 # keys of `data`
  90d:    {train_window: 90d}
  30d:    {train_window: 30d}
gates: false                                # true: challengers are judged by the policy's gates
metric: log_loss
```

Every trigger is combined with every lane and every selection; what the grid does not say is taken
from the policy in force. Two anchors are always there: never retraining, and a run at every window.

What always holds: a candidate is a policy that could be applied as it is, read by the same reader.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.yaml_file import InvalidFileError, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from mlreg.controller.domain.metrics import MetricName

MOST_CANDIDATES = 500
SELECTING = frozenset({"train_window", "evaluate_window", "label_delay", "select"})
"""The keys of `data` that policies may differ in."""
NEVER = "never"
EVERY_WINDOW = "every window"
MAIN_METRIC: Mapping[str, MetricName] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "rmse",
}
"""What policies are compared by unless the grid says; other tasks are not replayed."""


class InvalidGridError(InvalidFileError):
    """The grid does not say something that can be replayed."""

    code = "invalid_grid"
    hint = "See docs/how-to/backtest-a-policy.md for the keys."
    file = "a grid"


class Grid(PolicyPart):
    """What is tried.

    Attributes:
        triggers: lists of triggers, as in a policy.
        lanes: as a policy's `retrain.lanes`; empty: the policy's own.
        selections: keys of a policy's `data` (`SELECTING`); empty: the policy's own.
        gates: whether challengers are judged; else each goes live, and it is faster.
        goes_live_after: how long after its moment a model serves.
        price: of a second of training, in whatever money.
    """

    triggers: dict[str, list[dict[str, Any]]] = Field(min_length=1)
    lanes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    selections: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gates: bool = False
    metric: str | None = None
    goes_live_after: Duration | None = None
    price: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _can_be_replayed(self) -> Self:
        for name, keys in self.selections.items():
            foreign = sorted(set(keys) - SELECTING)
            if foreign:
                message = (
                    f"selections.{name}: {foreign[0]!r} cannot be varied: all policies are replayed"
                    f" on the same rows and windows; it takes {', '.join(sorted(SELECTING))}"
                )
                raise ValueError(message)
        size = len(self.triggers) * max(1, len(self.lanes)) * max(1, len(self.selections))
        if size > MOST_CANDIDATES:
            message = f"{size:,} policies; {MOST_CANDIDATES} is the most"
            raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that is tried; without one it never retrains."""

    name: str
    policy: Policy | None
    triggers: str
    lanes: str = ""
    selection: str = ""

    @property
    def is_anchor(self) -> bool:
        """Whether it is there whatever the grid says."""
        return self.name in {NEVER, EVERY_WINDOW}


def read_grid(text: str) -> Grid:
    """Return the grid that a YAML text declares.

    Raises:
        InvalidGridError: with every problem, each with its line and key.
    """
    file = read_yaml(text, InvalidGridError)
    problems: list[str] = []
    grid = file.part(Grid, file.document, (), problems)
    if grid is None:
        raise InvalidGridError(problems=problems)
    return grid


def default_grid(task: str, lanes: Collection[str]) -> Grid:
    """Return what is tried where nobody says: times, drift and skill, with the lanes there are."""
    triggers: dict[str, list[dict[str, Any]]] = {
        "monthly": [{"schedule": "0 0 1 * *"}],
        "weekly": [{"schedule": "0 0 * * 1"}],
        "drift": [{"drift": "psi", "unusual": True, "windows": 2}],
    }
    if task == "binary":
        triggers["skill"] = [{"performance": "log_loss", "drop": 0.01}]
    triggers["daily"] = [{"schedule": "0 0 * * *"}]
    known: dict[str, dict[str, Any]] = {
        "full": {"full": {}},
        "refit": {"refit": {}, "full": {"every": "28d"}},
        "continue": {"continue": {"rounds": 20, "max_trees": 400}, "full": {"every": "28d"}},
    }
    return Grid(triggers=triggers, lanes={name: known[name] for name in known if name in lanes})


def candidates(
    base: Mapping[str, Any], grid: Grid, read: Callable[[str], Policy]
) -> list[Candidate]:
    """Return the policies of a grid, the anchors first.

    Args:
        base: the JSON form of the policy that the grid varies.
        grid: the variations.
        read: what reads a policy that is applied.

    Raises:
        InvalidGridError: a combination is no policy that could be applied, or has the name of
            another, in whose place it would be shown; names it.
    """
    problems: list[str] = []
    always = _varied(base, {"triggers": [{"labelled_rows": 1}], "cooldown": "1s", "budget": {}})
    found = [Candidate(NEVER, None, NEVER)]
    found += _read(EVERY_WINDOW, always, (EVERY_WINDOW, "", ""), read, problems)
    taken = {NEVER, EVERY_WINDOW}
    for names, patch in _variations(grid):
        name = " / ".join(part for part in names if part)
        if name in taken:
            problems.append(f"{name}: another policy has this name; give its triggers another")
            continue
        taken.add(name)
        found += _read(name, _varied(base, patch), names, read, problems)
    if problems:
        raise InvalidGridError(problems=problems)
    return found


Names = tuple[str, str, str]


def _variations(grid: Grid) -> Iterator[tuple[Names, dict[str, Any]]]:
    lanes: dict[str, dict[str, Any] | None] = {**grid.lanes} or {"": None}
    selections: Mapping[str, dict[str, Any]] = grid.selections or {"": {}}
    for trigger, lane, selection in product(grid.triggers, lanes, selections):
        if not grid.triggers[trigger]:
            continue  # the same as never, which is there
        patch: dict[str, Any] = {"triggers": grid.triggers[trigger], "data": selections[selection]}
        rule = lanes[lane]
        if rule is not None:
            patch["retrain"] = {"lanes": rule}
        yield (trigger, lane, selection), patch


def _varied(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with other values; of `data` and `retrain` only the named keys are others."""
    varied = {**base}
    for key, value in patch.items():
        merges = key in {"data", "retrain"}
        varied[key] = {**varied.get(key, {}), **value} if merges else value
    return varied


def _read(
    name: str,
    form: Mapping[str, Any],
    names: Names,
    read: Callable[[str], Policy],
    problems: list[str],
) -> list[Candidate]:
    try:
        policy = read(json.dumps(_said(form)))
    except InvalidPolicyError as error:
        problems += [f"{name}: {_without_line(problem)}" for problem in error.problems]
        return []
    return [Candidate(name, policy, *names)]


def _without_line(problem: str) -> str:
    """Return a problem without its line, which is one of no file that anybody wrote."""
    line, _, rest = problem.partition(": ")
    return rest if line.startswith("line ") and rest else problem


def _said(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON without the keys that are null: they say nothing."""
    if isinstance(value, dict):
        return {key: _said(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_said(one) for one in value]
    return value


def live_after(grid: Grid) -> timedelta:
    """Return how long after its moment a model serves."""
    return grid.goes_live_after or timedelta()
