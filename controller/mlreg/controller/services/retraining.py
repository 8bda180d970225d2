"""Retraining and evaluating because a person (or CI) asked: the policy's rules, and what they said.

What always holds: what is asked by hand is never promoted by the run itself; where neither the
policy nor the request says which rows to take, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.lanes import ASKED_FOR, LaneChoice
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.specification import DEFAULT_GATES, RunSpecification
from mlreg.controller.services import runs
from mlreg.controller.services.ancestry import iteration_of
from mlreg.controller.services.choosing_lane import next_choice
from mlreg.controller.services.collecting_rows import change_in_force
from mlreg.controller.services.evaluations import EvaluationRequest, request_evaluation
from mlreg.controller.services.policies import PolicyInForce, PolicyNotFoundError, get_policy
from mlreg.controller.services.training import CannotContinueError
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.domain.lanes import Lane
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession

WINDOWS = frozenset({"train_window", "evaluate_window"})


class InvalidOptionsError(InvalidError):
    """An option of the request is no duration, or out of bounds."""

    code = "invalid_options"

    def __init__(self, *, option: str, problem: str) -> None:
        super().__init__(f"{option.replace('_', '-')}: {problem}")


class LaneNeededError(InvalidError):
    """A version to begin with was named, and no stateful lane."""

    code = "lane_needed"
    hint = "Add --lane continue or --lane refit."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"only the lanes continue and refit can begin with version {number}")


@dataclass(frozen=True, slots=True)
class Options:
    """What a request says beside or instead of the policy.

    Attributes:
        data: of `train_window`, `evaluate_window`, `label_delay`, as durations (`90d`).
        retrain: of `params`, `rounds`, `seed`; params are added to the policy's.
        git: where the request came from; the policy's own commit goes first.
        start_from: the version that a stateful lane begins with; None: the champion.
    """

    data: Mapping[str, str] = field(default_factory=dict)
    retrain: Mapping[str, Any] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    reason: str = ""
    start_from: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A model in an environment, with its policy if it has one, enabled or not."""

    model: Model
    environment: str
    policy: PolicyInForce | None


def find_place(session: ReadSession, model: str, environment: str) -> Place:
    """Return where something is asked for.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    found = catalog.get_model(session, model)
    try:
        return Place(found, environment, get_policy(session, model, environment))
    except PolicyNotFoundError:
        return Place(found, environment, None)


def request_retrain(
    session: WriteSession,
    place: Place,
    options: Options,
    *,
    lane: Lane | None,
    actor: Actor,
    now: datetime,
) -> runs.RunView:
    """Ask for a run by hand.

    Raises:
        NoSpecificationError: no policy, and the options do not name the windows.
        InvalidOptionsError: an option cannot be so.
        LaneNeededError, CannotContinueError: nothing can begin with the named version so.
        ModelArchivedError, EnvironmentNotFoundError: a rule says no.
    """
    if place.policy is None and not options.data.keys() >= WINDOWS:
        raise runs.NoSpecificationError(model=place.model.name, environment=place.environment)
    specification = specify(session, place, options)
    if options.start_from is not None:
        _check_start(session, place.model, specification, lane, options.start_from)
    choice = LaneChoice(lane, ASKED_FOR) if lane else _usual_lane(session, place, now)
    specification = specification.model_copy(update={"lane_because": choice.because})
    run = runs.request_run(
        session,
        model=place.model,
        environment=place.environment,
        lane=choice.lane,
        cause="manual",
        actor=actor,
        now=now,
        policy_id=None if place.policy is None else place.policy.policy_id,
        specification=specification,
    )
    return runs.recorded(session, run, "run.request", actor, now, lane=choice.lane)


def _usual_lane(session: ReadSession, place: Place, now: datetime) -> LaneChoice:
    if place.policy is None:
        return LaneChoice("full", "there is no policy that says otherwise")
    serving = find_serving(session, place.policy.model_id, place.environment)
    return next_choice(session, place.policy, serving, now)


def _check_start(
    session: ReadSession,
    model: Model,
    specification: RunSpecification,
    lane: Lane | None,
    number: int,
) -> None:
    """Check that a run can begin with a version.

    Raises:
        LaneNeededError: the lane is not stateful.
        VersionNotFoundError: there is no such version.
        CannotContinueError: it is another model.
    """
    if lane is None or lane == "full":
        raise LaneNeededError(number=number)
    version = catalog.get_version(session, model, number)
    cause = iteration_of(session, model, specification.retrain, version)
    if cause is not None:
        raise CannotContinueError(number=number, cause=cause)


def request_judgement(
    session: WriteSession,
    place: Place,
    version: int,
    options: Options,
    *,
    actor: Actor,
    now: datetime,
) -> int:
    """Ask for a version to be judged by the policy's gates, or the usual ones of its task.

    Raises:
        InvalidOptionsError: an option cannot be so.
        ChampionOnTrialError, NotLoadableError: a rule says no.
        VersionNotFoundError, EnvironmentNotFoundError: it is not there.
    """
    specification = specify(session, place, options)
    request = EvaluationRequest(place.model, place.environment, version, specification)
    return request_evaluation(session, request, actor=actor, now=now)


def specify(session: ReadSession, place: Place, options: Options) -> RunSpecification:
    """Return the policy's specification (or the usual one) with the options put in.

    Raises:
        InvalidOptionsError: an option cannot be so.
    """
    usual = (
        _usual(place.model)
        if place.policy is None
        else runs.specification_of_policy(session, place.policy.policy_id)
    )
    retrain = dict(options.retrain)
    data: dict[str, Any] = dict(options.data)
    if "train_window" in data:  # whoever names the rows has selected
        data["select"] = None
    if "params" in retrain:
        retrain["params"] = {**usual.retrain.params, **retrain["params"]}
    return usual.model_copy(
        update={
            "data": _changed(usual.data, data),
            "retrain": _changed(usual.retrain, retrain),
            "auto_promote": False,
            "git": usual.git or (None if options.git is None else dict(options.git)),
            "reason": options.reason,
            "start_from": options.start_from,
            "changed_at": None if place.policy is None else change_in_force(session, place.policy),
        }
    )


def _usual(model: Model) -> RunSpecification:
    gates = tuple(dict(gate) for gate in DEFAULT_GATES[model.task])
    return RunSpecification(data=DataRule(), retrain=RetrainRule(), gates=gates)


def _changed(rule: DataRule | RetrainRule, changes: Mapping[str, Any]) -> DataRule | RetrainRule:
    values = rule.model_dump(mode="json", by_alias=True)
    try:
        return type(rule).model_validate({**values, **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "options"
        problem = first["msg"].removeprefix("Value error, ")
        raise InvalidOptionsError(option=place, problem=problem) from error
