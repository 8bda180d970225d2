"""What a policy must have in common with its model, with what is installed here, and with itself.

What always holds: asked when a policy is applied, or shown before; each problem names line and key.
"""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain import executor_rule, trainer_kinds
from mlreg.controller.domain.batches import LABEL
from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.metrics import OF_TASK
from mlreg.controller.domain.objectives import objective_problem
from mlreg.controller.domain.parameter_rules import impossible_parameters
from mlreg.controller.domain.policy_advice import advice
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.policy_rules import Complaint, Known, contradictions
from mlreg.controller.domain.selection_rules import impossible_rows, rows_ahead
from mlreg.controller.domain.steps.hashed import Hashed
from mlreg.controller.domain.steps.step import StepError
from mlreg.controller.domain.watchable import OF_DTYPES
from mlreg.controller.domain.yaml_file import read_yaml
from mlreg.controller.services.label_profiles import known_delays
from mlreg.controller.services.labelled_rows import shape_of
from mlreg.controller.store.serving import count_champions
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.yaml_file import Location
    from mlreg.registry.domain.contracts import FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model


def check_policy(
    text: str, policy: Policy, model: Model, known: Known, of_triggers: Iterable[Complaint] = ()
) -> None:
    """Check all that a run would be refused for, as far as it is known before one.

    Args:
        text: where the lines are.
        policy: with its defaults.
        model: whose policy it is.
        known: what is known of the model.
        of_triggers: what `trigger_checks.trigger_complaints` found, to be told with the rest.

    Raises:
        InvalidPolicyError: with every problem, each with its line and key.
    """
    found = [
        *_of_columns(policy, model),
        *_of_trainer(policy, model),
        *_of_executor(policy),
        *_of_metrics(policy, model.task),
        *impossible_parameters(policy.retrain, model.task),
        *impossible_rows(policy),
        *of_triggers,
    ]
    problems = _spelt(text, [*found, *contradictions(policy, known)])
    if problems:
        raise InvalidPolicyError(problems=problems)


def advise(
    text: str,
    policy: Policy,
    model: Model,
    known: Known,
    now: datetime,
    of_triggers: Iterable[Complaint] = (),
) -> list[str]:
    """Return what the policy is not refused for, but is unlikely to be meant, with line and key."""
    found = [
        *of_triggers,
        *_of_slices(policy, model),
        *_of_outages(policy, model),
        *rows_ahead(policy.data, now),
        *advice(policy, known, now),
    ]
    return _spelt(text, found)


def known_of(session: ReadSession, model: Model, environment: str, now: datetime) -> Known:
    """Return what is known of a model in an environment."""
    place = (catalog.id_of(model), environment)
    return Known(
        task=model.task,
        longest_delay=timedelta(seconds=catalog.target_contract_of(model).max_label_delay_seconds),
        share_come=_observed(session, place, model, now),
        champions=count_champions(session, *place),
    )


def _observed(
    session: ReadSession, place: tuple[int, str], model: Model, now: datetime
) -> Callable[[timedelta], float] | None:
    """Return the share of the labels that have come by an age, of all that ever come."""
    arrival = known_delays(session, place, now, shape_of(model, ()).classes).labelled
    if arrival is None:
        return None
    eventually = float(arrival.by_edge[-1])
    return lambda age: float(arrival.share(np.array([age.total_seconds()]))[0]) / eventually


def _spelt(text: str, found: Iterable[Complaint]) -> list[str]:
    file = read_yaml(text, InvalidPolicyError)
    return [f"{file.whole(one.place)}: {one.problem}" for one in found]


def _of_outages(policy: Policy, model: Model) -> Iterator[Complaint]:
    """Yield that rows may train before anybody looked whether their feed was down."""
    schema, data = catalog.feature_schema_of(model), policy.data
    at_risk = schema is not None and any(one.at_risk for one in schema.features)
    if at_risk and data.label_delay < data.window:
        window, delay = spell_duration(data.window), spell_duration(data.label_delay)
        yield Complaint(
            ("data", "window"),
            f"{window} is longer than label_delay ({delay}): an outage is seen when its window has"
            " closed, and until then its rows may train",
        )


def _of_columns(policy: Policy, model: Model) -> Iterator[Complaint]:
    """Yield which columns the policy names that are no features of the model."""
    schema = catalog.feature_schema_of(model)
    if schema is None:
        return
    found = list(_unknown_columns(policy, model, frozenset(schema.names)))
    yield from found
    yield from _of_label_column(policy, schema)
    yield from _of_slicing(policy, schema, model.task)
    yield from _of_drift(policy, schema)
    if not found:
        yield from _of_steps(policy, schema, catalog.target_contract_of(model))


def _of_label_column(policy: Policy, schema: FeatureSchema) -> Iterator[Complaint]:
    """Yield what else is read from the column of the labels: a model would learn its own answer."""
    if policy.data.source_name is None:
        return
    columns = policy.data.columns_for([(one.name, one.dtype) for one in schema.features])
    others = {f"the feature {one.name!r}": one.column for one in columns.features}
    others |= {"the time": columns.time, "the weight": columns.weight or ""}
    for what, column in others.items():
        if column == columns.label:
            problem = f"column {column!r} is the label, and {what} too"
            yield Complaint(("data", "label"), problem)


def _of_slicing(policy: Policy, schema: FeatureSchema, task: str) -> Iterator[Complaint]:
    """Yield the columns of so many values that each row would be a slice of its own."""
    for name in policy.data.selection.columns:
        is_number = name in schema.names and schema[name].dtype == "float"
        if is_number or (name == LABEL and task == "regression"):
            problem = f"{name!r} is a number of any value: nearly each row would be a slice"
            yield Complaint(("data", "select"), problem)


def _of_drift(policy: Policy, schema: FeatureSchema) -> Iterator[Complaint]:
    """Yield the features whose drift is never measured in that way: the trigger never holds."""
    for index, trigger in enumerate(policy.triggers):
        for monitor in trigger.monitors:
            measured = OF_DTYPES.get(monitor, frozenset())
            for name in trigger.columns if measured else ():
                if name in schema.names and schema[name].dtype not in measured:
                    dtypes = " and ".join(sorted(measured))
                    problem = f"{name!r} is {schema[name].dtype}, and {monitor} is of {dtypes}"
                    yield Complaint(("triggers", index), problem)


def _of_steps(policy: Policy, schema: FeatureSchema, target: TargetContract) -> Iterator[Complaint]:
    """Yield what data steps ask of features and labels that these cannot give."""
    hashed: set[str] = set()
    for index, step in enumerate(policy.retrain.steps):
        place: Location = ("retrain", "steps", index)
        try:
            schema = step.reserve(schema)
        except StepError as error:
            yield Complaint(place, str(error))
        for problem in step.misfits(schema, target):
            yield Complaint(place, str(StepError(step=step.kind, cause=problem)))
        if step.kind == Hashed.kind:
            for name in sorted(hashed.intersection(step.columns)):
                yield Complaint(place, f"{name!r} has its buckets already, of an earlier step")
            hashed.update(step.columns)


def _unknown_columns(policy: Policy, model: Model, names: frozenset[str]) -> Iterator[Complaint]:
    steps, outages = policy.retrain.steps, policy.retrain.outages
    named: list[tuple[Location, Iterable[str]]] = [
        *((("triggers", place), one.columns) for place, one in enumerate(policy.triggers)),
        *((("gates", place), set(one.columns) - {LABEL}) for place, one in enumerate(policy.gates)),
        *((("retrain", "steps", place), one.columns) for place, one in enumerate(steps)),
        (("data", "select"), tuple(set(policy.data.selection.columns) - {LABEL})),
        (("retrain", "outages", "features"), outages.features if outages else ()),
    ]
    for place, columns in named:
        unknown = sorted(set(columns) - names)
        if unknown:
            shown = ", ".join(map(repr, unknown))
            yield Complaint(place, f"model {model.name!r} has no feature {shown}")


def _of_metrics(policy: Policy, task: str) -> Iterator[Complaint]:
    """Yield which metrics are none of the task's, by which versions or trials are compared."""
    rules = {
        ("memory", "metric"): policy.memory,
        ("retrain", "search", "metric"): policy.retrain.search,
    }
    for place, rule in rules.items():
        if rule is not None and rule.metric is not None and rule.metric not in OF_TASK[task]:
            there = ", ".join(OF_TASK[task])
            yield Complaint(place, f"a {task} model has no {rule.metric}; it has {there}")


def _of_slices(policy: Policy, model: Model) -> Iterator[Complaint]:
    schema = catalog.feature_schema_of(model)
    unknown = sorted(set(policy.monitors.slices) - set(schema.names)) if schema else []
    if unknown:
        shown = ", ".join(map(repr, unknown))
        yield Complaint(
            ("monitors", "slices"),
            f"model {model.name!r} has no feature {shown}, so it is no slice",
        )


def _of_trainer(policy: Policy, model: Model) -> Iterator[Complaint]:
    """Yield why the trainer is none, or trains no model of this task."""
    rule, place = policy.retrain, ("retrain", "trainer")
    known = _installed(trainer_kinds.MODEL_FILES, trainer_kinds.ENTRY_POINTS)
    if rule.trainer not in known:
        there = ", ".join(known)
        yield Complaint(place, f"there is no trainer {rule.trainer!r}; there are {there}")
    if rule.trainer == "lightgbm":
        problem = objective_problem(model.task, rule.params)
        if problem is not None:
            yield Complaint(("retrain", "params", "objective"), problem)
    if rule.trainer == "sklearn" and model.task == "ranking":
        yield Complaint(place, "scikit-learn makes no ranking models")


def _of_executor(policy: Policy) -> Iterator[Complaint]:
    """Yield that no worker has the executor; which of ours a worker has, it alone knows."""
    kind = policy.retrain.executor.kind
    known = _installed(executor_rule.KINDS, executor_rule.ENTRY_POINTS)
    if kind not in known:
        there = ", ".join(known)
        place = ("retrain", "executor")
        yield Complaint(place, f"there is no executor {kind!r}; there are {there}")


def _installed(ours: Iterable[str], group: str) -> list[str]:
    """Return the names of our own kinds, and those that third parties add."""
    return [*ours, *sorted(point.name for point in entry_points(group=group))]
