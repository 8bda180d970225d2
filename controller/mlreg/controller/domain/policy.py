"""The policy: the declared automation of one model in one environment, typed.

What always holds: a `Policy` that exists has passed every check of form; a key that is not declared
here is an error, a key that is known but not built is refused as not yet supported
(`policy_file.py` reads the YAML and names the line).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    WithJsonSchema,
    model_validator,
)

from mlreg.controller.domain.alert_rule import AlertRules
from mlreg.controller.domain.budget import Budget
from mlreg.controller.domain.combine_rule import Combine
from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.durations import Duration
from mlreg.controller.domain.executor_rule import Executing, ExecutorRule
from mlreg.controller.domain.gates import Gate
from mlreg.controller.domain.lanes import Lanes
from mlreg.controller.domain.limit_rule import LimitRule
from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.preparation_rule import PreparationRule
from mlreg.controller.domain.quiet_hours import QuietHours
from mlreg.controller.domain.remembering import MemoryRule
from mlreg.controller.domain.search_rule import SearchRule
from mlreg.controller.domain.steps.kinds import AnyStep
from mlreg.controller.domain.triggers import Combination, Trigger
from mlreg.controller.domain.worker_label import WorkerLabel
from mlreg.registry.domain.names import Name

Scalar = bool | int | float | str


def _checked_parameter(value: object) -> object:
    items = value if isinstance(value, list) else [value]
    if all(isinstance(item, Scalar) for item in items):
        return value
    message = "a parameter is a number, a string, true or false, or a list of them"
    raise ValueError(message)


_SCALARS = ["boolean", "number", "string"]
Parameter = Annotated[
    Any,
    BeforeValidator(_checked_parameter),
    WithJsonSchema({"anyOf": [{"type": _SCALARS}, {"type": "array", "items": {"type": _SCALARS}}]}),
]

DEFAULT_LANES = Lanes.model_validate(
    {"refit": {}, "continue": {"every": timedelta(days=7)}, "full": {"every": timedelta(days=28)}}
)


class OutageCopies(PolicyPart):
    """Corrupted copies of training rows, with these features at their defaults.

    Attributes:
        features: which ones stand at their defaults in the copies, all together.
        share: of the training rows, how many are copied.
    """

    features: tuple[str, ...] = Field(min_length=1)
    share: float = Field(gt=0, le=1)


class RetrainRule(PolicyPart):
    """How a challenger is trained.

    Attributes:
        trainer: who trains: `lightgbm`, `sklearn`, `command`, or one of a third party.
        params: what the trainer is given: LightGBM's parameters, those of the estimator, or
            whatever the command reads.
        estimator: of `sklearn`, the dotted path of a class of scikit-learn.
        command: of `command`, the name of a program that the workers' operator declared.
        rounds: how many trees a full retrain grows.
        seed: what the seeds of all steps are made of; the same seed makes the same model.
        steps: what is done to training rows, in this order; never to those that judge.
        worker: a label; runs wait for a worker that has it.
    """

    trainer: str = "lightgbm"
    params: dict[str, Parameter] = Field(default_factory=dict)
    estimator: str | None = Field(default=None, max_length=200)
    preparation: PreparationRule = PreparationRule()
    command: Name | None = None
    rounds: int = Field(default=200, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0, lt=2**31)
    lanes: Lanes = DEFAULT_LANES
    outages: OutageCopies | None = None
    steps: tuple[AnyStep, ...] = Field(default=(), max_length=20)
    search: SearchRule | None = Field(default=None, exclude_if=lambda rule: rule is None)
    limits: LimitRule = LimitRule()
    worker: WorkerLabel | None = Field(default=None, exclude_if=lambda label: label is None)
    executor: Executing = Field(
        default=ExecutorRule(), exclude_if=lambda rule: rule == ExecutorRule()
    )

    @model_validator(mode="after")
    def _can_be_shared(self) -> Self:
        """Several workers grow the same trees at the same time, and search nothing."""
        if self.executor.workers > 1 and (self.trainer != "lightgbm" or self.search is not None):
            message = "several workers train one model of lightgbm only, and without `search`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _fits_the_trainer(self) -> Self:
        """Each trainer has the key that it needs, and none that another one reads."""
        owners = {"sklearn": "estimator", "command": "command"}
        for trainer, key in owners.items():
            given = getattr(self, key) is not None
            if given != (self.trainer == trainer):
                rule = f"only the trainer {trainer} has" if given else f"trainer {trainer} needs"
                message = f"{rule} `{key}`"
                raise ValueError(message)
        if self.preparation != PreparationRule() and self.trainer != "sklearn":
            message = "only the trainer sklearn has `preparation`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _leaves_time_to_train(self) -> Self:
        if self.search is not None and self.search.length >= self.limits.wall:
            message = "search.seconds must be less than limits.wall, which the whole training has"
            raise ValueError(message)
        return self


class GuardRule(PolicyPart):
    """Roll back when the live model is worse than the previous champion on the same rows.

    `worse_than_champion` is in units of the metric's loss per row, of a ranking (`ndcg`, `map`,
    `mrr`) of the metric per group; `watch` is how long after a promotion the guard looks.

    Attributes:
        metric: what is compared, on the same logged rows.
        worse_than_champion: by how much the live model has to be worse, per row (of a ranking per
            group).
        watch: for so long after a promotion the guard looks.
        alpha: how often it may take back a model that is no worse.
    """

    metric: Literal["log_loss", "brier", "mae", "ndcg", "map", "mrr"]
    worse_than_champion: float = Field(gt=0)
    watch: Duration = timedelta(days=14)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)


class PolicyFrame(PolicyPart):
    """The policy without its plugins: triggers and gates are read by their own kinds.

    Attributes:
        model: whose policy this is.
        environment: in which environment its champions serve.
        cooldown: the least time between two runs, and after a guard's rollback.
        rollout: `immediate` promotes an accepted challenger at once, `manual` leaves it to people.
        guards: what takes a promoted version down again by itself.
    """

    model: Name
    environment: Name = "production"
    data: DataRule = DataRule()
    combine: Combine = Combine()
    cooldown: Duration = timedelta(hours=6)
    quiet_hours: QuietHours | None = None
    budget: Budget = Budget()
    retrain: RetrainRule = RetrainRule()
    memory: MemoryRule | None = None
    rollout: Literal["immediate", "manual"] = "immediate"
    guards: tuple[GuardRule, ...] = ()
    monitors: MonitorRule = MonitorRule()
    alerts: AlertRules = AlertRules()

    @property
    def auto_promote(self) -> bool:
        """Whether an accepted decision is promoted by the policy itself."""
        return self.rollout == "immediate"


class Policy(PolicyFrame):
    """The whole policy."""

    triggers: tuple[SerializeAsAny[Trigger], ...]
    gates: tuple[SerializeAsAny[Gate], ...] = ()

    @property
    def combination(self) -> Combination:
        """How many of the triggers must hold at once."""
        return self.combine.of(len(self.triggers))

    def to_json(self) -> dict[str, Any]:
        """Return the whole policy with its defaults, as JSON."""
        return self.model_dump(mode="json", by_alias=True)
