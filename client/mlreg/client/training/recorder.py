"""The verbs of a training: what a person or a library logs while it runs.

Everything here only remembers; files are written and bytes sent at the end (`context.Training`).
"""

from __future__ import annotations

import operator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from mlreg.client.errors import InvalidError
from mlreg.client.redaction import redact_lines
from mlreg.client.stage import StagePath, check_names, stage_paths
from mlreg.client.training.boosters import find_booster, params_of, save_model
from mlreg.client.training.records import FILES, Records, rows_of_search, without_secrets

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping

    from mlreg.client.wire.versions import StageKind

_SEEDS = ("seed", "random_state")
MAX_SEED = 2**63


class Recorder:
    """What a training remembers of itself.

    Attributes:
        folder: a folder for files of the stage: whatever is in it at the end is archived.
    """

    folder: Path

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / "stage"
        self._records = Records()
        self._tags: dict[str, str] = {}
        self._files: list[StagePath] = []
        self._model: Path | None = None
        self._trainer: str | None = None

    def log_params(self, params: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Keep hyperparameters; later ones win. Secrets in them are redacted, and it says so."""
        self._records.add_params({**(params or {}), **more})

    def log_metrics(
        self,
        metrics: Mapping[str, object] | None = None,
        /,
        *,
        step: float | None = None,
        **more: object,
    ) -> None:
        """Keep metrics; with `step` each is also a point of the curve of its name.

        Raises:
            InvalidError: a value is no number.
        """
        for name, value in {**(metrics or {}), **more}.items():
            self._records.add_metric(name, value, step)

    def curve(
        self, name: str, values: Iterable[object], *, steps: Iterable[object] | None = None
    ) -> None:
        """Keep a whole curve; steps count from 1 unless they are given.

        Raises:
            InvalidError: a value or step is no number.
        """
        self._records.add_curve(name, values, count(1) if steps is None else steps)

    def curves(self, results: Mapping[str, Mapping[str, Iterable[object]]]) -> None:
        """Keep what `lightgbm.record_evaluation` and its like fill: {"valid": {"auc": [...]}}."""
        for source, metrics in results.items():
            for metric, values in metrics.items():
                self.curve(f"{source} {metric}", values)

    def callback(self) -> Callable[[Any], None]:
        """Return a callback for `lightgbm.train(callbacks=[…])` that keeps every iteration."""

        def keep(env: Any) -> None:  # noqa: ANN401 - LightGBM is not imported here
            for source, metric, value, *_ in env.evaluation_result_list or ():
                self.curve(f"{source} {metric}", [value], steps=[env.iteration + 1])

        return keep

    def trial(self, params: Mapping[str, object], **scores: object) -> None:
        """Keep one trial of a hyperparameter search: what was tried, and how it did."""
        self._records.add_trials([{**params, **scores}])

    def search(self, results: object) -> None:
        """Keep a whole search: rows, columns, an Optuna study, or a scikit-learn search.

        Raises:
            InvalidError: it is none of these.
        """
        self._records.add_trials(rows_of_search(results))

    def seed(self, value: SupportsIndex, name: str = "seed") -> int:
        """Keep a seed and return it, to be used where it is written: `seed=t.seed(7)`.

        Raises:
            InvalidError: it needs more than 64 bits. TypeError: it is no integer.
        """
        seed = operator.index(value)
        if not -MAX_SEED <= seed < MAX_SEED:
            raise InvalidError(f"seed {name!r} needs more than 64 bits", code="invalid_seed")
        self._records.seeds[name] = seed
        return seed

    def predictions(self, labels: object, scores: object, **columns: object) -> None:
        """Keep the hold-out: its labels, what the model said, and any more columns beside them.

        Raises:
            InvalidError: the columns differ in length.
        """
        self._records.set_predictions({"label": labels, "score": scores, **columns})

    def add_file(
        self, path: str | os.PathLike[str], kind: StageKind | None = None, *, name: str = ""
    ) -> None:
        """Archive a file or folder beside the model; its bytes are read at the end.

        Args:
            path: where it is.
            kind: code, notebook, log, search_table, loss_curve, predictions or other; for None its
                suffix says so.
            name: its name in the archive, if another than its own.

        Raises:
            OSError: nothing is there. InvalidError: a link, or no such kind.
        """
        self._files += stage_paths(Path(path), kind=kind, name=name)

    def log(self, line: object) -> None:
        """Keep a line (or a few) of the training's log, without secrets."""
        self._records.lines += redact_lines(str(line).splitlines())

    def tag(self, name: str, value: object) -> None:
        """Keep a tag."""
        self._tags |= {key: str(one) for key, one in without_secrets({name: value}, "tag").items()}

    def model(self, model: object) -> None:
        """Say what was trained: a file, a folder, or a LightGBM booster or estimator.

        A booster is saved now, as a text model, and brings its parameters. A file is read at the
        end of the block. The last call counts.

        Raises:
            OSError: the path is not there.
            UnsavableModelError: it is a model in memory that has no safe form here.
        """
        self._model = save_model(model, self._root / "model")
        booster = find_booster(model)
        if booster is not None:
            self._trainer = "lightgbm"
            said = self._records.params
            self._records.params = {}
            self._records.add_params({**params_of(booster), **said})

    def _seeds(self) -> dict[str, int] | None:
        """Return the seeds that were kept, else those among the parameters."""
        found = self._records.seeds or {
            name: value
            for name, value in self._records.params.items()
            if name.endswith(_SEEDS) and isinstance(value, int) and not isinstance(value, bool)
        }
        return found or None

    def _write_stage(self) -> list[StagePath]:
        """Write what was kept into files, and return all files of the stage."""
        self._records.write(self.folder)
        written = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        own = [
            found
            for path in written
            for found in stage_paths(
                path,
                kind=FILES.get(path.relative_to(self.folder).as_posix()),
                name=path.relative_to(self.folder).as_posix(),
            )
        ]
        files = [*own, *self._files]
        check_names(files)
        return files
