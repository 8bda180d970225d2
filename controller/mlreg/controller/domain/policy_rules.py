"""What a policy may not say, though every key of it is of its form: contradictions, the impossible.

What always holds: these rules are asked when a policy is applied, and never when it is read again:
a rule that comes later stops no policy that is in force. Each refusal says why, at the key that is
to be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from mlreg.controller.domain.bootstrap import MIN_HOURS
from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.lanes import LANES
from mlreg.controller.domain.metrics import OF_TASK, WATCHED_OF_TASK, MetricName
from mlreg.controller.domain.trainer_kinds import lanes_of
from mlreg.controller.domain.windows import HOUR
from mlreg.controller.domain.yaml_file import Location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pydantic import BaseModel

    from mlreg.controller.domain.policy import Policy

METRICS: frozenset[str] = frozenset(get_args(MetricName))
NO_LABELS = 0.01
"""Below this share of the labels nothing can be judged."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and at which key."""

    place: Location
    problem: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model when a policy for it is applied.

    Attributes:
        longest_delay: a label that has not come by then never comes, says the target contract.
        share_come: the share of the labels that has come by an age, of all that ever come, as
            observed; None: too few labels were seen.
        champions: how many versions have served, the one that serves included.
    """

    task: str
    longest_delay: timedelta
    share_come: Callable[[timedelta], float] | None = None
    champions: int = 0


def contradictions(policy: Policy, known: Known) -> Iterator[Complaint]:
    """Yield everything that a policy is refused for."""
    for rule in (_of_windows, _of_metrics, _of_lanes, _of_budget):
        yield from rule(policy, known)


def _of_windows(policy: Policy, known: Known) -> Iterator[Complaint]:
    data = policy.data
    train, evaluate = spell_duration(data.train_window), spell_duration(data.evaluate_window)
    if data.train_window < data.evaluate_window:
        yield Complaint(
            ("data", "train_window"),
            f"{train} of rows to train on is shorter than the evaluate_window of {evaluate}",
        )
    if policy.gates and data.evaluate_window < MIN_HOURS * HOUR:
        yield Complaint(
            ("data", "evaluate_window"),
            f"{evaluate} can never give a verdict: gates need rows of {MIN_HOURS} hours or more",
        )
    oldest = data.evaluate_window + data.label_delay
    if known.share_come is not None and known.share_come(oldest) < NO_LABELS:
        yield Complaint(
            ("data", "evaluate_window"),
            f"its oldest rows are {spell_duration(oldest)} old (label_delay included), and by that"
            " age no labels of this model have come; make label_delay longer",
        )


def _of_metrics(policy: Policy, known: Known) -> Iterator[Complaint]:
    """Yield the metrics that the task does not have; of a task that no gate knows, none is said."""
    compared = OF_TASK.get(known.task)
    watched = WATCHED_OF_TASK.get(known.task, ())
    sections: tuple[tuple[str, Sequence[BaseModel], Collection[str]], ...] = (
        ("triggers", policy.triggers, watched),
        ("gates", policy.gates if compared else (), compared or ()),
        ("guards", policy.guards, watched),
    )
    for section, parts, allowed in sections:
        for index, part in enumerate(parts):
            for key in type(part).model_fields:
                value = getattr(part, key)
                if isinstance(value, str) and value in METRICS and value not in allowed:
                    yield Complaint(
                        (section, index, key),
                        f"{value} is no metric of a {known.task} model; {_listed(allowed)}",
                    )


def _listed(allowed: Collection[str]) -> str:
    return f"there are {', '.join(allowed)}" if allowed else "it has none"


def _of_lanes(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    retrain, more = policy.retrain, policy.retrain.lanes.continue_
    if "lanes" not in retrain.model_fields_set:
        return
    possible = lanes_of(retrain.trainer, retrain.estimator, LANES)
    for lane in retrain.lanes.rules:
        if lane not in possible:
            what = retrain.estimator or retrain.trainer
            yield Complaint(
                ("retrain", "lanes", lane), f"{what} cannot do it; it has {_ordered(possible)}"
            )
    if more is None:
        return
    if more.rounds > more.max_trees:
        yield Complaint(
            ("retrain", "lanes", "continue", "rounds"),
            f"{more.rounds} trees at once are more than max_trees ({more.max_trees})",
        )
    elif retrain.rounds + more.rounds > more.max_trees:
        yield Complaint(
            ("retrain", "lanes", "continue", "max_trees"),
            f"a full model has {retrain.rounds} trees already (retrain.rounds), and"
            f" {more.rounds} more are beyond {more.max_trees}: it would never be continued",
        )


def _ordered(lanes: Collection[str]) -> str:
    return ", ".join(lane for lane in LANES if lane in lanes)


def _of_budget(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    for key in type(policy.budget).model_fields:
        value = getattr(policy.budget, key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
            yield Complaint(
                ("budget", key),
                "no run would ever start; `mlreg policy disable` stops a policy, and a key that is"
                " left out has no bound",
            )
