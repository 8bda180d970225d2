"""What a policy may not say, though every key of it is of its form: contradictions, the impossible.

What always holds: these rules are asked when a policy is applied, and never when it is read again:
a rule that comes later stops no policy that is in force. Each refusal says why, at the key that is
to be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from math import inf, isfinite
from typing import TYPE_CHECKING, get_args

from mlreg.controller.domain.bootstrap import MIN_HOURS
from mlreg.controller.domain.budget import LEAST_SECONDS
from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.guards import MIN_DAYS
from mlreg.controller.domain.lanes import LANES
from mlreg.controller.domain.metrics import OF_TASK, WATCHED_OF_TASK, MetricName, bounds_of
from mlreg.controller.domain.soundness import CLASSIFIED
from mlreg.controller.domain.trainer_kinds import lanes_of
from mlreg.controller.domain.trial import LABEL
from mlreg.controller.domain.watchable import SHARES
from mlreg.controller.domain.windows import DAY, HOUR
from mlreg.controller.domain.yaml_file import Location
from mlreg.controller.domain.zone import named_zones

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pydantic import BaseModel

    from mlreg.controller.domain.policy import Policy

METRICS: frozenset[str] = frozenset(get_args(MetricName))
OF_ONE_CLASS = ("log_loss", "brier", "accuracy")
"""The metrics that mean something of rows of one class alone."""
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
    for rule in (
        _of_windows,
        _of_metrics,
        _of_classes,
        _of_borders,
        _of_drops,
        _of_margins,
        _of_guards,
        _of_zones,
        _of_lanes,
        _of_budget,
    ):
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
    """Yield the metrics that the task does not have."""
    compared, watched = OF_TASK[known.task], WATCHED_OF_TASK[known.task]
    sections: tuple[tuple[str, Sequence[BaseModel], Collection[str]], ...] = (
        ("triggers", policy.triggers, watched),
        ("gates", policy.gates, compared),
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
    return f"there are {', '.join(allowed)}"


def _of_classes(policy: Policy, known: Known) -> Iterator[Complaint]:
    """Yield the gates that cut by classes where there are none, or by what one has not."""
    for index, gate in enumerate(policy.gates):
        if LABEL not in gate.columns:
            continue
        metric = getattr(gate, "metric", None)
        if known.task not in CLASSIFIED:
            problem = f"a {known.task} model has no classes, so it cannot be cut by {LABEL}"
            yield Complaint(("gates", index), problem)
        elif metric is not None and metric not in OF_ONE_CLASS:
            there = ", ".join(OF_ONE_CLASS)
            problem = f"rows of one class have no {metric}; cut by {LABEL} with {there}"
            yield Complaint(("gates", index, "metric"), problem)


def _of_borders(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    """Yield the borders beyond which every value lies, or none."""
    for index, trigger in enumerate(policy.triggers):
        named = getattr(trigger, trigger.kind, None)
        least, most = _range(named)
        above, below = getattr(trigger, "above", None), getattr(trigger, "below", None)
        holds = {
            ("above", above): above is not None and (above < least, above >= most),
            ("below", below): below is not None and (below > most, below <= least),
        }
        for (key, border), (always, never) in ((one, said) for one, said in holds.items() if said):
            if always or never:
                word = "always" if always else "never"
                yield Complaint(
                    ("triggers", index, key),
                    f"{named} lies {_between(least, most)}: it is {word} {key} {border:g}",
                )


def _range(named: object) -> tuple[float, float]:
    """Return the least and the greatest value of a metric or another monitor."""
    if named in SHARES:
        return 0.0, 1.0
    metric = next((one for one in get_args(MetricName) if one == named), None)
    return (-inf, inf) if metric is None else bounds_of(metric)


def _between(least: float, most: float) -> str:
    return f"between {least:g} and {most:g}" if isfinite(most) else f"at {least:g} or above"


def _of_drops(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    """Yield the drops that are more than a metric, or the skill by it, can ever fall."""
    for index, trigger in enumerate(policy.triggers):
        drop, named = getattr(trigger, "drop", None), getattr(trigger, trigger.kind, None)
        least, most = _range(named)
        is_skill = f"skill_{named}" in trigger.monitors  # from the best to the prior and below it
        deepest = (most - least) * (2 if is_skill else 1)
        if drop is not None and drop > deepest:
            what = f"the skill by {named}" if is_skill else named
            yield Complaint(
                ("triggers", index, "drop"), f"{what} never drops by more than {deepest:g}"
            )


def _of_margins(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    """Yield the margins beyond which no two models can lie."""
    for index, gate in enumerate(policy.gates):
        metric = getattr(gate, "metric", getattr(gate, "champion", None))
        margin = getattr(gate, "margin", None)
        least, most = _range(metric)
        if margin is not None and margin >= most - least:
            yield Complaint(
                ("gates", index, "margin"),
                f"{metric} lies {_between(least, most)}: with a margin of {margin:g} every"
                " challenger passes",
            )


def _of_guards(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    """Yield the guards whose watch is over before they have rows of enough days."""
    for index, guard in enumerate(policy.guards):
        if guard.watch < (MIN_DAYS - 1) * DAY:
            watch, least = spell_duration(guard.watch), spell_duration((MIN_DAYS - 1) * DAY)
            yield Complaint(
                ("guards", index, "watch"),
                f"{watch} is too short: a guard needs rows of {MIN_DAYS} days, so {least} or more",
            )


def _of_zones(policy: Policy, known: Known) -> Iterator[Complaint]:  # noqa: ARG001 - as all rules
    """Yield the zones that are another one on each machine (`localtime`), or of no wall clock."""
    named: list[tuple[Location, object]] = [
        *((("triggers", index), trigger) for index, trigger in enumerate(policy.triggers)),
        (("quiet_hours",), policy.quiet_hours),
        (("data",), policy.data),
    ]
    for place, part in named:
        zone = getattr(part, "timezone", None)
        if zone is not None and zone not in named_zones():
            yield Complaint(
                (*place, "timezone"),
                f"{zone!r} is none of the IANA's names, such as Europe/Berlin or UTC",
            )


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
        if value is not None and value < (1 if key.startswith("runs") else LEAST_SECONDS):
            yield Complaint(
                ("budget", key),
                "no run would ever start; `mlreg policy disable` stops a policy, and a key that is"
                " left out has no bound",
            )
