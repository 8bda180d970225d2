"""Looking for hyperparameters before a full retrain, in the training's child.

The training rows are split by time: the older ones train each trial (with the data steps), the
newest `share` of them compares the trials, as they are: each with the weight that it was logged
with, as gates count it, and without what the selection or a data step makes of that for training.
Rows of the evaluation are not in this folder's training file, so nothing here has seen them.

What always holds: the declared parameters are the first trial, so a search never chooses what did
worse than they on those rows; the sampler (TPE, Bergstra et al. 2011) is seeded; a trial that the
trainer refuses is a row of the table, not the end. What is chosen is in the record of the version,
so a rebuild searches nothing: how many trials fit into the time is up to the machine.
"""

from __future__ import annotations

import csv
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlreg.client.scoring.encoding import Encoded
from mlreg.client.scoring.errors import ScoringError
from mlreg.controller.domain.metrics import MetricName, greater_is_better
from mlreg.controller.domain.remembering import MAIN
from mlreg.controller.domain.search_rule import Range, SearchRule
from mlreg.controller.trainers.errors import SearchError, TrainingRowsError
from mlreg.controller.trainers.job import TrainJob
from mlreg.controller.trainers.rows import TIME, LabelledRows, own_weights_of
from mlreg.controller.trainers.scores import checked_scores
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.stage import SEARCH, LabelledMatrix, measure_scores
from mlreg.controller.trainers.tasks import step_rows, task_of
from mlreg.controller.trainers.trainer import StoredModel, Trainer
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.target_contract import TargetContract

FOLDER = "search"
SEED = "search"
STARTUP_TRIALS = 10


@dataclass(frozen=True, slots=True)
class Searching:
    """What is searched with: the job, its trainer, and the rows as they are."""

    folder: Path
    job: TrainJob
    trainer: Trainer
    target: TargetContract
    contract: FeatureContract
    rows: LabelledRows
    encoded: Encoded


@dataclass(slots=True)
class Tried:
    """One trial; `value` is None where it failed."""

    params: Mapping[str, Any]
    value: float | None
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found.

    Attributes:
        chosen: the parameters to add to the declared ones; none where those were best.
        record: for the provenance.
    """

    chosen: Mapping[str, Any]
    record: Mapping[str, Any]


@dataclass(slots=True)
class _Trials:
    """Trials so far, and how long there is; `weights` are those of the newer rows."""

    searching: Searching
    rule: SearchRule
    metric: MetricName
    older: NDArray[np.intp]
    newer: NDArray[np.intp]
    weights: NDArray[np.float64] | None
    began: float = field(default_factory=time.monotonic)
    done: list[Tried] = field(default_factory=list)

    @property
    def spent(self) -> float:
        """How many seconds it took until now."""
        return time.monotonic() - self.began

    @property
    def has_time(self) -> bool:
        """Whether a trial as long as the longest would end in time."""
        longest = max((one.seconds for one in self.done), default=0.0)
        return self.spent + longest <= self.rule.seconds

    @property
    def best(self) -> Tried | None:
        """The best trial, of equals the first."""
        known = [one for one in self.done if one.value is not None]
        sign = -1.0 if greater_is_better(self.metric) else 1.0
        return min(known, key=lambda one: sign * (one.value or 0.0), default=None)


def search(searching: Searching, rule: SearchRule) -> Searched:
    """Try sets of parameters, write `search.csv` into the folder, and return the best.

    Raises:
        SearchError: the rows cannot be split, or have weights by which nothing can be compared; no
            trial went well; or Optuna is not installed.
    """
    metric = rule.metric or MAIN[searching.target.task]
    older, newer = split_by_time(searching.rows, rule.share)
    trials = _Trials(searching, rule, metric, older, newer, _own_weights(searching.rows, newer))
    trials.done.append(_try(trials, {}))
    _sample(trials)
    _write_table(searching.folder / SEARCH, trials)
    best = trials.best
    if best is None:
        raise SearchError(cause=f"no trial went well: {trials.done[0].error}")
    _say(f"search: {metric} {best.value:.6g} by {dict(best.params) or 'the declared parameters'}")
    return Searched(dict(best.params), _record(trials, best))


def split_by_time(rows: LabelledRows, share: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the older rows and of the newest share, by time.

    Rows of one moment stay together; a group of a ranking that has a newer row is newer.

    Raises:
        SearchError: one side has no rows.
    """
    times = rows.table[TIME].cast(pa.int64()).to_numpy()
    border = np.sort(times)[int(len(times) * (1 - share))]
    is_newer = times >= border
    if rows.groups is not None:
        is_newer = np.isin(rows.groups, rows.groups[is_newer])
    older, newer = np.flatnonzero(~is_newer), np.flatnonzero(is_newer)
    if not len(older) or not len(newer):
        raise SearchError(cause=f"{len(times)} rows cannot be split by time")
    return older, newer


def _own_weights(rows: LabelledRows, newer: NDArray[np.intp]) -> NDArray[np.float64] | None:
    try:
        return own_weights_of(rows.table.take(pa.array(newer)))
    except TrainingRowsError as error:
        raise SearchError(
            cause=f"of the newest rows, by which trials are compared: {error.cause}"
        ) from error


def _sample(trials: _Trials) -> None:
    """Let the sampler propose trials as long as there are any, and time for them."""
    try:
        import optuna
    except ImportError as error:
        raise SearchError(cause="Optuna is not installed here (the extra `search`)") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rule, seed = trials.rule, derive_seeds(trials.searching.job.seed, [SEED])[SEED]
    study = optuna.create_study(
        direction="maximize" if greater_is_better(trials.metric) else "minimize",
        sampler=optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=min(STARTUP_TRIALS, rule.trials), constant_liar=False
        ),
    )
    for _ in range(rule.trials):
        if not trials.has_time:
            _say(f"search: {trials.rule.seconds:g} s are over after {len(trials.done)} trials")
            return
        trial = study.ask()
        tried = _try(trials, {name: _propose(trial, name, rule) for name in sorted(rule.params)})
        trials.done.append(tried)
        failed = optuna.trial.TrialState.FAIL
        study.tell(trial, tried.value, state=failed if tried.value is None else None)


def _propose(trial: Any, name: str, rule: SearchRule) -> Any:  # noqa: ANN401 - Optuna's trial and value
    space = rule.params[name]
    if not isinstance(space, Range):
        return trial.suggest_categorical(name, list(space))
    if space.is_whole:
        return trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
    return trial.suggest_float(name, float(space.low), float(space.high), log=space.log)


def _try(trials: _Trials, params: Mapping[str, Any]) -> Tried:
    """Train on the older rows and measure on the newer ones."""
    began = time.monotonic()
    value, error = None, ""
    folder = trials.searching.folder / FOLDER
    folder.mkdir()
    try:
        value = _measure(trials, params, folder)
        if value is None:
            error = (
                f"{trials.metric} is not defined on the newest rows, by which trials are compared"
            )
    except (RegistryError, ScoringError) as failure:
        error = str(failure)
    finally:
        shutil.rmtree(folder)
    tried = Tried(params, value, round(time.monotonic() - began, 3), error)
    shown = error if value is None else f"{trials.metric} {value:.6g}"
    _say(f"trial {len(trials.done)}: {shown}, {tried.seconds:.2f} s")
    return tried


def _measure(trials: _Trials, params: Mapping[str, Any], folder: Path) -> float | None:
    searching, older, newer = trials.searching, trials.older, trials.newer
    job = searching.job.model_copy(update={"params": {**searching.job.params, **params}})
    stepped = step_rows(
        job, searching.contract, _of(searching.rows, older), _some(searching, older)
    )
    task = task_of(folder, job, searching.target, searching.contract, stepped.rows)
    model = StoredModel(folder / "model", searching.contract)
    searching.trainer.train(task, model.path)
    matrix, labels = searching.encoded.matrix[newer], searching.rows.labels[newer]
    scores = checked_scores(
        "trial", searching.trainer.score(model, matrix, threads=job.threads), len(newer)
    )
    groups = None if searching.rows.groups is None else searching.rows.groups[newer]
    seen = LabelledMatrix(matrix, labels, trials.weights, groups)
    return measure_scores(searching.target.task, seen, scores).get(trials.metric)


def _of(rows: LabelledRows, places: NDArray[np.intp]) -> LabelledRows:
    return LabelledRows(
        rows.table.take(pa.array(places)),
        rows.labels[places],
        None if rows.weights is None else rows.weights[places],
        0,
        None if rows.groups is None else rows.groups[places],
    )


def _some(searching: Searching, places: NDArray[np.intp]) -> Encoded:
    return replace(searching.encoded, matrix=searching.encoded.matrix[places])


def _record(trials: _Trials, best: Tried) -> dict[str, Any]:
    return {
        "metric": trials.metric,
        "value": best.value,
        "declared": trials.done[0].value,
        "chosen": dict(best.params),
        "trials": len(trials.done),
        "seconds": round(trials.spent, 3),
        "older_rows": len(trials.older),
        "newer_rows": len(trials.newer),
    }


def _write_table(file: Path, trials: _Trials) -> None:
    names = sorted(trials.rule.params)
    with file.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["trial", trials.metric, "seconds", *names, "error"])
        for number, one in enumerate(trials.done):
            values = [one.params.get(name, "") for name in names]
            table.writerow(
                [number, "" if one.value is None else one.value, one.seconds, *values, one.error]
            )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
