"""LightGBM: lanes full, continue (more trees on the parent) and refit (same trees, new leaves).

What always holds:

- deterministic: row-wise histograms, a fixed number of threads, every seed derived and recorded;
- no boosting from the average, because `refit` would lose that intercept;
- a parent is continued only if its feature contract, its column order and everything that makes up
  its objective are the same: LightGBM takes other columns, categories and objectives without a word
  and answers nonsense;
- categories are the contract's codes, given as numbers, never pandas categories;
- the model file that comes out has passed the validator that everyone will put it through.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from lightgbm.basic import _ConfigAliases  # LightGBM's own list of its parameters' names

from mlreg.client.scoring.errors import ModelFileError
from mlreg.controller.domain.parameter_rules import SEEDS
from mlreg.controller.domain.shards import without_addresses
from mlreg.controller.trainers.boosters import open_booster, refit, validated
from mlreg.controller.trainers.errors import (
    NoTreeGrownError,
    ParentMismatchError,
    TrainingFailedError,
    TreeBudgetError,
)
from mlreg.controller.trainers.lightgbm_parameters import resolve_parameters
from mlreg.controller.trainers.parents import parent_of
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.trainer import (
    Explaining,
    OneAgainstAll,
    StoredModel,
    Traced,
    Trained,
    Trainer,
    TrainingTask,
)
from mlreg.registry.domain.contracts import ContractMismatchError, FeatureContract, check_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.client.scoring.lightgbm_text import ModelSummary

OBJECTIVE_PARAMETERS: Mapping[str, float] = {
    "boost_from_average": 0,
    "sigmoid": 1,
    "is_unbalance": 0,
    "scale_pos_weight": 1,
    "reg_sqrt": 0,
    "alpha": 0.9,
    "fair_c": 1,
    "poisson_max_delta_step": 0.7,
    "tweedie_variance_power": 1.5,
}
"""What, beside its name, makes an objective what it is, with LightGBM's defaults."""
LOGARITHMIC = frozenset({"poisson", "gamma", "tweedie"})
"""Objectives whose trees add up to the logarithm of the score."""
ADDRESSES = frozenset({"machines", "local_listen_port", "time_out"})
"""Parameters that say where it was trained, and nothing of what."""
_SOURCE = re.compile(r" at \S+, line \d+ ?\.$")
UNSAFE_NAME = re.compile(r'[\s",:\[\]{}]')
REPORT_EVERY_ROUNDS = 50


class LightGBMTrainer:
    """Trains LightGBM models."""

    @property
    def name(self) -> str:
        """The trainer and the version of its library."""
        return f"lightgbm/{lightgbm.__version__}"

    def train(self, task: TrainingTask, model: Path) -> Trained:
        """Train a model; see the protocol."""
        seeds = derive_seeds(task.seed, SEEDS)
        network = {} if task.shard is None else task.shard.network
        params = {**resolve_parameters(task, _aliases()), **seeds, **network}
        try:
            text, before = _LANES[task.lane](task, params)
            content = without_addresses(text.encode())
        except lightgbm.basic.LightGBMError as error:
            if "bad_alloc" in str(error):
                raise MemoryError from error
            raise TrainingFailedError(cause=_told(error)) from error
        trees = _checked(content).num_trees
        if task.lane == "continue" and trees <= before:
            raise NoTreeGrownError(rows=len(task.labels))
        model.write_bytes(content)
        params = {name: value for name, value in params.items() if name not in ADDRESSES}
        used = {**params, "rounds": task.rounds, **_stateful(task)}
        return Trained(trees, trees - before, used, seeds)

    def score(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return one score per row; the file is validated first, and the caller is a child.

        Raises:
            ModelFileError: the file breaks the format.
        """
        _, booster = open_booster(model)
        return np.asarray(booster.predict(matrix, num_threads=threads), dtype=np.float64)

    def is_one_against_all(self, model: StoredModel) -> bool:
        """Say whether each class was learnt on its own; see the protocol."""
        return validated(model.path.read_bytes()).objective == "multiclassova"

    def contributions(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return what each feature adds to the raw scores; see the protocol.

        Exact Shapley values of each tree (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9).

        Raises:
            ModelFileError: the file breaks the format, or has another number of features.
        """
        summary, booster = open_booster(model)
        features = len(summary.feature_names)
        if matrix.shape[1] != features:
            cause = f"{features} names, but the rows have {matrix.shape[1]} features"
            raise ModelFileError(where="feature_names", cause=cause)
        found = booster.predict(matrix, pred_contrib=True, num_threads=threads)
        parts = np.asarray(found, dtype=np.float64).reshape(len(matrix), -1, features + 1)
        return parts[:, :, :-1]

    def trace(
        self, model: StoredModel, matrix: NDArray[np.float64], *, points: int, threads: int
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield the scores by the first trees; see the protocol."""
        summary, booster = open_booster(model)
        step = max(1, -(-summary.num_trees // points))
        raw = np.zeros(len(matrix))
        for start in range(0, summary.num_trees, step):
            raw += booster.predict(
                matrix,
                start_iteration=start,
                num_iteration=step,
                raw_score=True,
                num_threads=threads,
            )
            yield min(start + step, summary.num_trees), _from_raw(raw, summary)


def _from_raw(raw: NDArray[np.float64], summary: ModelSummary) -> NDArray[np.float64]:
    """Return scores from sums of leaves, as LightGBM converts them for each objective."""
    if summary.objective == "binary":
        sigmoid = float(summary.parameters.get("sigmoid") or OBJECTIVE_PARAMETERS["sigmoid"])
        return np.asarray(1 / (1 + np.exp(-sigmoid * raw)))
    if summary.objective in LOGARITHMIC:
        return np.asarray(np.exp(raw))
    if float(summary.parameters.get("reg_sqrt") or 0):
        return np.asarray(np.sign(raw) * np.square(raw))
    return raw.copy()


def _stateful(task: TrainingTask) -> dict[str, Any]:
    """Return what a stateful lane was told besides."""
    if task.lane == "refit":
        return {"decay_rate": task.decay_rate}
    if task.lane == "continue" and task.max_trees is not None:
        return {"max_trees": task.max_trees}
    return {}


def _train_full(task: TrainingTask, params: dict[str, Any]) -> tuple[str, int]:
    booster = lightgbm.train(params, _dataset(task, params), task.rounds, callbacks=[_report])
    return booster.model_to_string(), 0


def _train_continue(task: TrainingTask, params: dict[str, Any]) -> tuple[str, int]:
    booster, summary = checked_parent(task, params)
    rounds = rounds_left(task, summary)
    grown = lightgbm.train(
        params, _dataset(task, params), rounds, init_model=booster, callbacks=[_report]
    )
    return grown.model_to_string(), summary.num_trees


def _train_refit(task: TrainingTask, params: dict[str, Any]) -> tuple[str, int]:
    booster, summary = checked_parent(task, params)
    if float(params.get("path_smooth", 0)):
        cause = "LightGBM cannot smooth new leaves of old trees, and ends its process"
        raise ParentMismatchError(what="path_smooth", cause=cause)
    text = refit(booster, task.matrix, _described(task), params, task.decay_rate)
    return text, summary.num_trees


_LANES = {"full": _train_full, "continue": _train_continue, "refit": _train_refit}
_PROOF: tuple[type[Trainer], type[Traced], type[Explaining], type[OneAgainstAll]] = (
    LightGBMTrainer,
    LightGBMTrainer,
    LightGBMTrainer,
    LightGBMTrainer,
)


def _told(error: Exception) -> str:
    """Return LightGBM's words in a line, without the place in its source."""
    return _SOURCE.sub("", " ".join(str(error).split()))


def _checked(content: bytes) -> ModelSummary:
    """Return what is in a model that LightGBM just made.

    Raises:
        TrainingFailedError: numbers that are none: sums of labels and weights went out of range.
    """
    try:
        return validated(content)
    except ModelFileError as error:
        cause = f"what came of it is no usable model ({error}): are labels or weights too large?"
        raise TrainingFailedError(cause=cause) from error


def _aliases() -> Mapping[str, Iterable[str]]:
    found: Mapping[str, Iterable[str]] = _ConfigAliases._get_all_param_aliases()  # noqa: SLF001 - there is no public list
    return found


def checked_parent(
    task: TrainingTask, params: Mapping[str, Any]
) -> tuple[lightgbm.Booster, ModelSummary]:
    """Return the parent once it may be continued.

    Raises:
        ParentMismatchError: no parent, or its columns, contract or objective differ; names which.
        ModelFileError: its file breaks the format.
    """
    summary, booster = open_booster(parent_of(task))
    try:
        check_names(summary.feature_names, task.contract.names)
    except ContractMismatchError as error:
        raise ParentMismatchError(what="feature contract", cause=str(error)) from error
    _check_objective(summary, params)
    return booster, summary


def _check_objective(summary: ModelSummary, params: Mapping[str, Any]) -> None:
    if summary.objective != params["objective"]:
        cause = f"the parent has {summary.objective!r}, asked for is {params['objective']!r}"
        raise ParentMismatchError(what="objective", cause=cause)
    for name, default in OBJECTIVE_PARAMETERS.items():
        theirs = float(summary.parameters.get(name) or default)
        ours = float(params.get(name, default))
        if theirs != ours:
            cause = f"the parent has {theirs:g}, asked for is {ours:g}"
            raise ParentMismatchError(what=name, cause=cause)


def rounds_left(task: TrainingTask, parent: ModelSummary) -> int:
    """Return how many rounds the lane `continue` may add: those asked for, within `max_trees`.

    Raises:
        TreeBudgetError: none.
    """
    if task.max_trees is None:
        return task.rounds
    left = (task.max_trees - parent.num_trees) // parent.trees_per_iteration
    if left < 1:
        raise TreeBudgetError(trees=parent.num_trees, max_trees=task.max_trees)
    return min(task.rounds, left)


def _dataset(task: TrainingTask, params: Mapping[str, Any]) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        task.matrix,
        categorical_feature=_categorical(task.contract),
        params=dict(params),
        free_raw_data=False,
        **_described(task),
    )


def _described(task: TrainingTask) -> dict[str, Any]:
    """Return what a dataset is told of rows beside their values."""
    return {
        "label": task.labels,
        "weight": task.weights,
        "group": _sizes(task),
        "feature_name": list(_checked_names(task.contract)),
    }


def _sizes(task: TrainingTask) -> NDArray[np.intp] | None:
    """Return how many rows each group of a ranking has; they stand together."""
    if task.groups is None:
        return None
    starts = np.flatnonzero(np.r_[True, task.groups[1:] != task.groups[:-1]])
    sizes: NDArray[np.intp] = np.diff(np.r_[starts, len(task.groups)])
    return sizes


def _checked_names(contract: FeatureContract) -> tuple[str, ...]:
    for name in contract.names:
        if UNSAFE_NAME.search(name):
            problem = "LightGBM takes no spaces, quotes, commas, colons or brackets in a name"
            raise ContractMismatchError(column=name, problem=problem)
    return contract.names


def _categorical(contract: FeatureContract) -> list[int]:
    return [place for place, feature in enumerate(contract.features) if feature.dtype == "category"]


def _report(environment: Any) -> None:  # noqa: ANN401 - LightGBM's own CallbackEnv
    """Print a line of progress for the run's log."""
    done = environment.iteration + 1
    if done % REPORT_EVERY_ROUNDS == 0 or done == environment.end_iteration:
        sys.stdout.write(f"round {done} of {environment.end_iteration}\n")
        sys.stdout.flush()
