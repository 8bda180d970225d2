"""The models of a backtest: trained once for whoever asks for the same, scored once per window.

What always holds: a training is a run's: the rows that the specification selects, its recipe, the
trainer's own lanes; equal rows, recipe and parent are one model. Seconds are of the processor, for
several policies are replayed at a time. Two threads that ask for the same model wait for one. A
model that an attempt before this one left in the folder is not trained again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlreg.client.scoring.encoding import Encoded
from mlreg.controller.domain.backtest import Made, Wanted
from mlreg.controller.domain.batches import LABEL, WEIGHT
from mlreg.controller.domain.metrics import Floats, Integers
from mlreg.controller.domain.selections.selection import Selection
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.domain.trainer_kinds import model_file_of
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.recipe import Recipe
from mlreg.controller.services.selected_rows import choose_rows
from mlreg.controller.trainers.child import CONTRACT, fit
from mlreg.controller.trainers.files import digest_of_files
from mlreg.controller.trainers.job import TrainJob
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.rows import labelled_rows, weights_of
from mlreg.controller.trainers.scores import checked_scores
from mlreg.controller.trainers.tasks import step_rows, task_of
from mlreg.controller.trainers.trainer import StoredModel
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.domain.manifests import InvalidManifestError
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from mlreg.controller.services.backtest_history import History

ROWS_AT_ONCE = 2_048
KEPT_SCORES = 32_000_000
"""Scores that are kept at a time: a quarter of a gigabyte."""
KEPT, MAKING = "kept.json", "making-"
_PLACE = "__place"


class TooFewRowsError(RefusedError):
    """The rows of a training window cannot be trained on."""

    code = "too_few_rows"

    def __init__(self, *, window: Interval) -> None:
        super().__init__(
            f"no labelled rows of {window.start.isoformat()} to {window.end.isoformat()}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model that was trained.

    Attributes:
        places: of the rows that it was trained on.
        prior: their mean label.
    """

    made: Made
    model: StoredModel
    trainer: str
    places: Integers
    prior: float


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stands beside a model; `digest` is that of its file, or of the folder of its files."""

    trees: int | None
    seconds: float
    prior: float
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class _Selected:
    """The rows of a training: their places, ascending, and their weights."""

    places: Integers
    weights: Floats | None
    window: Interval

    @property
    def digest(self) -> str:
        body = sha256(np.ascontiguousarray(self.places).tobytes())
        if self.weights is not None:
            body.update(self.weights.tobytes())
        return body.hexdigest()


class Models:
    """Trains and scores models on a history; safe for several threads."""

    def __init__(self, history: History, folder: Path) -> None:
        self._history, self._folder = history, folder
        self._lock = threading.Lock()
        self._training: dict[str, threading.Lock] = {}
        self._fitted: dict[str, Fitted] = {}
        self._scores: OrderedDict[tuple[str, int], Floats] = OrderedDict()
        self._kept = 0
        self.asked = 0

    @property
    def trained(self) -> int:
        """How many models were trained; `asked` counts how often one was wanted."""
        return len(self._fitted)

    def get(self, made: Made) -> Fitted:
        """Return a model that was trained."""
        return self._fitted[made.key]

    def train(self, wanted: Wanted) -> Made:
        """Train a model, unless the same one was trained before.

        Raises:
            TooFewRowsError: nothing is labelled in its window.
            TrainingRowsError and others of a trainer: the rows cannot be trained on.
        """
        selected = self._select(wanted)
        job = self._job(wanted)
        name = json.dumps([job, selected.digest], sort_keys=True)
        key = sha256(name.encode()).hexdigest()[:32]
        with self._lock:
            self.asked += 1
            turn = self._training.setdefault(key, threading.Lock())
        with turn:
            if key not in self._fitted:
                self._fitted[key] = self._fit(key, job, selected)
            return self._fitted[key].made

    def scores(self, made: Made, part: slice) -> Floats:
        """Return a model's scores of some rows in order of time."""
        first, last = part.start // ROWS_AT_ONCE, max(part.start, part.stop - 1) // ROWS_AT_ONCE
        blocks = [self._block(made, number) for number in range(first, last + 1)]
        start = part.start - first * ROWS_AT_ONCE
        whole = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return whole[start : start + part.stop - part.start]

    def _block(self, made: Made, number: int) -> Floats:
        key = (made.key, number)
        with self._lock:
            if key in self._scores:
                self._scores.move_to_end(key)
                return self._scores[key]
        fitted = self.get(made)
        start = number * ROWS_AT_ONCE
        rows = self._history.matrix[start : start + ROWS_AT_ONCE]
        found = open_trainer(fitted.trainer).score(fitted.model, rows, threads=1)
        found = checked_scores("replayed model", found, len(rows))
        with self._lock:
            self._scores[key] = found
            self._kept += found.size
            while self._kept > KEPT_SCORES:
                self._kept -= self._scores.popitem(last=False)[1].size
        return found

    def _select(self, wanted: Wanted) -> _Selected:
        specification = specification_of(wanted)
        history = self._history
        windows = specification.windows(wanted.at, history.first)
        places = history.trainable(windows.train, windows.labels_until)
        for hole in windows.left_out:
            part = history.part(hole)
            places = places[(places < part.start) | (places >= part.stop)]
        if not len(places):
            raise TooFewRowsError(window=windows.train)
        selection = specification.data.selection
        weights = None if history.weights is None else history.weights[places]
        if type(selection).choose is not Selection.choose:
            rows = history.table.take(pa.array(places)).append_column(_PLACE, pa.array(places))
            past = specification.past_of(windows.train)
            rows = choose_rows(rows, selection, past, specification.retrain.seed)
            places = rows[_PLACE].to_numpy()
            weights = weights_of(rows)
        return _Selected(places, weights, windows.train)

    def _job(self, wanted: Wanted) -> dict[str, Any]:
        history, parent = self._history, None
        if wanted.lane != "full" and wanted.parent is not None:
            kind = self.get(wanted.parent).trainer
            place = wanted.parent.key
            parent = {"model": f"{place}/{model_file_of(kind)}", "contract": f"{place}/{CONTRACT}"}
        job = Recipe(
            rule=wanted.policy.retrain,
            lane=wanted.lane,
            target=history.target.to_json(),
            schema=None,
            contract=history.contract,
            has_bins=False,
            parent=parent,
        ).to_job()
        return {**job, "threads": 1}

    def _fit(self, key: str, form: dict[str, Any], selected: _Selected) -> Fitted:
        """Train a model into its folder, or find it there: an attempt before this one trained it.

        The folder comes to its name at once, so whoever is killed leaves no half of one.
        """
        job, place = TrainJob.model_validate(form), self._folder / key
        path = place / model_file_of(job.trainer)
        kept = _find_kept(path)
        if kept is None:
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=MAKING) as making:
                kept = self._train(Path(making) / key, job, selected)
                shutil.rmtree(place, ignore_errors=True)  # what a machine lost that stopped
                with suppress(OSError):  # a paused attempt went on, and was first
                    (Path(making) / key).rename(place)
        end, rows = selected.window.end, len(selected.places)
        made = Made(key, kept.trees, rows, kept.seconds, end)
        model = StoredModel(path, self._history.contract)
        return Fitted(made, model, job.trainer, selected.places, kept.prior)

    def _train(self, place: Path, job: TrainJob, selected: _Selected) -> _Kept:
        history, places = self._history, selected.places
        columns = {LABEL: pa.array(history.labels[places])}
        if selected.weights is not None:
            columns[WEIGHT] = pa.array(selected.weights)
        began = time.thread_time()
        target = TargetContract.from_json(job.target)
        rows = labelled_rows(pa.table(columns), target)
        stepped = step_rows(job, history.contract, rows, Encoded(history.matrix[places], {}))
        task = task_of(self._folder, job, target, history.contract, stepped.rows)
        model, trained = fit(place, open_trainer(job.trainer), task)
        seconds = time.thread_time() - began
        prior = float(np.average(rows.labels, weights=rows.weights))
        kept = _Kept(trained.trees, seconds, prior, digest_of_files(model.path))
        (place / KEPT).write_text(json.dumps(asdict(kept)))
        return kept


def _find_kept(path: Path) -> _Kept | None:
    """Return what is known of a model's files, None where they are not there, or not whole."""
    try:
        kept = _Kept(**json.loads((path.parent / KEPT).read_text()))
        is_whole = kept.digest == digest_of_files(path)
    except (FileNotFoundError, ValueError, InvalidManifestError):  # a machine that stopped left it
        return None
    return kept if is_whole else None


def specification_of(wanted: Wanted) -> RunSpecification:
    """Return the specification of the run that would train this."""
    return RunSpecification(
        data=wanted.policy.data,
        retrain=wanted.policy.retrain,
        gates=(),
        changed_at=wanted.changed_at,
    )
