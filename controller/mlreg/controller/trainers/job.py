"""The typed form of `job.json`; see `child.py` for what each job does with it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlreg.controller.domain.commands import SealedCommand
from mlreg.controller.domain.search_rule import SearchRule
from mlreg.controller.domain.steps.kinds import AnyStep
from mlreg.controller.domain.trial import DRAWS
from mlreg.controller.trainers.trainer import Lane, Scalar
from mlreg.registry.domain.errors import InvalidError


def _relative(path: str) -> str:
    parts = Path(path).parts
    if not parts or Path(path).is_absolute() or ".." in parts:
        message = "must be a path inside the job's folder"
        raise ValueError(message)
    return path


class InvalidJobError(InvalidError):
    """The job file does not say something that a child can do."""

    code = "invalid_job"

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"job.json: {cause}")


class JobPart(BaseModel):
    """A part of a job: every key is declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(JobPart):
    """What every job has.

    Attributes:
        data: Parquet files, in the order of their rows, relative to the folder.
        threads: how many the library may use.
    """

    format: Literal[1] = 1
    data: tuple[str, ...] = Field(min_length=1)
    threads: int = Field(default=2, ge=1, le=64)

    @field_validator("data")
    @classmethod
    def _inside(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_relative, paths))


class OutageCopies(JobPart):
    """Corrupted copies of a share of the rows, with these features at their defaults."""

    features: tuple[str, ...] = Field(min_length=1)
    share: float = Field(gt=0, le=1)


class PreparationJob(JobPart):
    """See `trainer.Preparation`."""

    impute: Literal["mean", "median", "most_frequent", "zero", "refuse"] = "median"
    scale: bool = True
    categories: Literal["one_hot", "codes"] = "one_hot"


class ModelFiles(JobPart):
    """A model: its file (or the folder of its files) and its contract, relative to the folder.

    Attributes:
        trainer: the kind that can score it; None: the job's.
        command: for the kind `command`, what the worker's operator declared.
    """

    model: str
    contract: str
    trainer: str | None = None
    command: SealedCommand | None = None

    @field_validator("model", "contract")
    @classmethod
    def _inside(cls, path: str) -> str:
        return _relative(path)


class StageJob(JobPart):
    """What to leave beside the model; `holdout` is a Parquet file of rows to measure it on."""

    holdout: str | None = None

    @field_validator("holdout")
    @classmethod
    def _inside(cls, path: str | None) -> str | None:
        return None if path is None else _relative(path)


class ShardJob(JobPart):
    """The part of one of several processes that train one model: see `domain/shards.py`."""

    rank: int = Field(ge=0)
    machines: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:\[\]_-]+:[0-9]{1,5}$")], ...] = (
        Field(min_length=1, max_length=256)
    )

    @model_validator(mode="after")
    def _among_them(self) -> Self:
        if self.rank >= len(self.machines):
            message = f"rank {self.rank} of {len(self.machines)} machines"
            raise ValueError(message)
        return self


class TrainJob(Job):
    """A job of `train`."""

    trainer: str = "lightgbm"
    lane: Lane = "full"
    target: dict[str, Any]
    feature_schema: list[dict[str, Any]] | None = Field(default=None, alias="schema")
    contract: dict[str, Any] | None = None
    learns_categories: bool = False
    params: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    rounds: int = Field(default=200, ge=1, le=100_000)
    max_trees: int | None = Field(default=None, ge=1)
    decay_rate: float = Field(default=0.9, ge=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    outages: OutageCopies | None = None
    steps: tuple[AnyStep, ...] = ()
    estimator: str | None = None
    preparation: PreparationJob = PreparationJob()
    command: SealedCommand | None = None
    parent: ModelFiles | None = None
    bins: str | None = None
    stage: StageJob | None = None
    search: SearchRule | None = None
    shard: ShardJob | None = None


class ScoredModel(ModelFiles):
    """A model to score; the score column is named by its role."""

    role: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,30}$")]


class ScoreJob(Job):
    """A job of `score`."""

    trainer: str = "lightgbm"
    models: tuple[ScoredModel, ...] = Field(min_length=1)


class ContributionJob(Job):
    """A job of `explain_child`: what features add to scores, in two files of rows."""

    data: tuple[str, str]  # type: ignore[mutable-override]  # frozen
    trainer: str = "lightgbm"
    model: ModelFiles


class JudgedModel(ScoredModel):
    """A model that takes part in a trial."""

    role: Literal["challenger", "champion", "anchor"]  # type: ignore[mutable-override]  # frozen
    version: int | None = None
    train_end: datetime | None = None


class JudgeJob(Job):
    """A job of `judge`; `context` is copied into the evidence, `prior` is what `train` answered."""

    trainer: str = "lightgbm"
    models: tuple[JudgedModel, ...] = Field(min_length=1)
    target: dict[str, Any]
    gates: tuple[dict[str, Any], ...]
    seed: int = Field(default=0, ge=0, lt=2**31)
    draws: int = Field(default=DRAWS, ge=100, le=100_000)
    prior: float | None = Field(default=None, allow_inf_nan=False)
    context: dict[str, Any] = Field(default_factory=dict)
