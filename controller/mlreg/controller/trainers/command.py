"""Commands: models of any framework, trained and scored by a program of the operator's.

The contract is files. The program is started with the path of a folder as its last argument, and
finds there `job.json` (its paths are absolute):

**train**:
```
{"format": 1, "do": "train", "task": "binary", "classes": 2, "lane": "full",
 "rows": ".../rows.parquet",        features by name (float64, in this order), label, weight, entity
 "features": [{"name": ..., "dtype": ..., "categories": [...], "buckets": 0}, ...],
 "label": "label", "weight": "weight" | null, "group": "entity" | null,
 "params": {...}, "rounds": 200, "seed": 7, "threads": 2,
 "parent": ".../parent" | null,     the artifact that a stateful lane begins with
 "artifact": ".../artifact",        where the model's files go: plain files, any names
 "metrics": ".../metrics.json"}     name → number, if it measured something itself
```
**predict**: `{"format": 1, "do": "predict", "task", "classes", "rows", "features", "threads",
"artifact": ..., "scores": ".../scores.parquet"}`: rows without label; it writes one column `score`,
in the order of the rows: a float64 (binary: the probability of class 1), of a multiclass model a
list of one per class.

Categories are codes, the place in `categories` (behind them the buckets); missing is NaN. The rows
that will judge the model are not given: what is chosen on them proves nothing on them.

What always holds: a program writes in its own folder only, has no network unless the operator says
so (both where the kernel permits, see `confinement.py`), sees the variables that were declared, and
dies with the child; of what it leaves only plain files are taken, and they are copied.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.client.signal_names import name_of_signal
from mlreg.controller.confinement import confined_words
from mlreg.controller.domain.plain_text import plain_text
from mlreg.controller.orphans import reap_orphans
from mlreg.controller.removal import remove_folder
from mlreg.controller.trainers.command_answers import METRICS, SCORES, read_metrics, read_scores
from mlreg.controller.trainers.errors import (
    LaneNotOfTrainerError,
    TrainingFailedError,
)
from mlreg.controller.trainers.files import copy_plain
from mlreg.controller.trainers.parents import parent_of
from mlreg.controller.trainers.seeds import derive_seeds
from mlreg.controller.trainers.trainer import StoredModel, Trained, Trainer, TrainingTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mlreg.controller.domain.commands import SealedCommand
    from mlreg.registry.domain.contracts import FeatureContract

ROWS, ARTIFACT = "rows.parquet", "artifact"
LABEL, WEIGHT, GROUP = "label", "weight", "entity"
MAX_ARTIFACT_BYTES = 4 * 2**30
MAX_LAST_WORDS = 300
_KEPT_BYTES, _MOST_CHUNKS = 4096, 64
_REAP_SECONDS = 1.0
_CLOSED = b"\n\0closed"
_INHERITED = ("PATH", "LANG", "TZ")


class CommandTrainer:
    """Trains and scores by calling a program."""

    def __init__(self, command: SealedCommand) -> None:
        self._command = command

    @property
    def name(self) -> str:
        """The command."""
        return f"command/{self._command.name}"

    def train(self, task: TrainingTask, model: Path) -> Trained:
        """Train a model; see the protocol."""
        if task.lane == "refit":
            raise LaneNotOfTrainerError(lane=task.lane, trainer=f"the command {self.name!r}")
        seeds = derive_seeds(task.seed, ["command"])
        with _folder(model.parent.parent) as folder:
            pq.write_table(_training_table(task), folder / ROWS)
            if task.lane != "full":
                shutil.copytree(parent_of(task).path, folder / "parent")
            (folder / ARTIFACT).mkdir()
            self._run(self._command.train, folder, _training_job(folder, task, seeds["command"]))
            copy_plain(folder / ARTIFACT, model, max_bytes=MAX_ARTIFACT_BYTES)
            metrics = read_metrics(folder / METRICS)
        sealed = {"name", "digest", "lock_digest"}
        used = {**task.params, "rounds": task.rounds}
        used["command"] = json.dumps(self._command.model_dump(include=sealed), sort_keys=True)
        return Trained(None, None, used, seeds, metrics)

    def score(
        self, model: StoredModel, matrix: NDArray[np.float64], *, threads: int
    ) -> NDArray[np.float64]:
        """Return the scores that the program gives these rows; see the protocol."""
        with _folder(model.path.parent.parent) as folder:
            pq.write_table(_columns(matrix, model.contract), folder / ROWS)
            shutil.copytree(model.path, folder / ARTIFACT)
            job = {
                **_common(folder, model.contract, threads),
                "do": "predict",
                "scores": str(folder / SCORES),
            }
            self._run(self._command.predict, folder, job)
            return read_scores(folder / SCORES)

    def _run(self, words: tuple[str, ...], folder: Path, job: Mapping[str, Any]) -> None:
        """Run a program to its end.

        Raises:
            TrainingFailedError: it could not be started, or did not end well.
        """
        (folder / "job.json").write_text(json.dumps(job, indent=1))
        command = self._command
        writes = [folder, *map(Path, command.writes)]
        with subprocess.Popen(  # noqa: S603 - the operator's words, no shell
            confined_words([*words, str(folder)], writes, network=command.network),
            cwd=command.folder or folder,
            env=_environment(folder) | dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as program:
            last = _pass_on(program)
        if program.returncode:
            raise TrainingFailedError(cause=_end_of(self.name, program.returncode, last))


def _environment(folder: Path) -> dict[str, str]:
    """Return what every program sees; ours was cleaned by the executor."""
    seen = {name: os.environ[name] for name in _INHERITED if name in os.environ}  # noqa: TID251 - the child's
    return {"HOME": str(folder), "TMPDIR": str(folder), **seen}


def _pass_on(program: subprocess.Popen[bytes]) -> str:
    """Write what the program prints to our own output as it comes; return its last line.

    It is over with the program itself: what that left behind may hold the pipe for ever.
    """
    if program.stdout is None:
        return ""
    pipe, last = program.stdout.fileno(), b""
    os.set_blocking(pipe, False)
    end = os.pidfd_open(program.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        selector.register(end, selectors.EVENT_READ)
        ended = False
        while not ended:
            ended = end in [key.fd for key, _ in selector.select(_REAP_SECONDS)]
            reap_orphans(program.pid)  # else one that starts many daemons runs out of processes
            last = _drain(pipe, last)
            if last.endswith(_CLOSED):
                break
    os.close(end)
    program.wait()
    lines = [line for line in last.removesuffix(_CLOSED).split(b"\n") if line.strip()]
    said = (lines[-1] if lines else b"").decode(errors="replace")
    return plain_text(said)[-MAX_LAST_WORDS:]


def _drain(pipe: int, last: bytes) -> bytes:
    """Pass on what is in the pipe now; return the last bytes of it, and whether it was closed."""
    with suppress(BlockingIOError):
        for _ in range(_MOST_CHUNKS):
            chunk = os.read(pipe, 64 * 1024)
            if not chunk:
                return last + _CLOSED
            os.write(1, chunk)
            last = (last + chunk)[-_KEPT_BYTES:]
    return last


def _end_of(name: str, code: int, last: str) -> str:
    how = f"exit code {code}" if code > 0 else name_of_signal(-code)
    return f"{name} ended with {how}" + (f": {last}" if last else "")


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """Make a folder for one call of the program, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="command-", dir=parent)).absolute()
    try:
        yield folder
    finally:
        remove_folder(folder)


def _columns(matrix: NDArray[np.float64], contract: FeatureContract) -> pa.Table:
    return pa.table({name: matrix[:, place] for place, name in enumerate(contract.names)})


def _training_table(task: TrainingTask) -> pa.Table:
    table = _columns(task.matrix, task.contract)
    more = {LABEL: task.labels, WEIGHT: task.weights, GROUP: task.groups}
    for name, values in more.items():
        if values is not None:
            table = table.append_column(name, pa.array(values))
    return table


def _common(folder: Path, contract: FeatureContract, threads: int) -> dict[str, Any]:
    features = [
        {
            "name": feature.name,
            "dtype": feature.dtype,
            "categories": list(feature.categories or ()),
            "buckets": feature.buckets,
        }
        for feature in contract.features
    ]
    return {
        "format": 1,
        "rows": str(folder / ROWS),
        "features": features,
        "artifact": str(folder / ARTIFACT),
        "threads": threads,
    }


def _training_job(folder: Path, task: TrainingTask, seed: int) -> dict[str, Any]:
    return {
        **_common(folder, task.contract, task.threads),
        "do": "train",
        "task": task.task,
        "classes": task.classes,
        "lane": task.lane,
        "label": LABEL,
        "weight": None if task.weights is None else WEIGHT,
        "group": None if task.groups is None else GROUP,
        "params": dict(task.params),
        "rounds": task.rounds,
        "seed": seed,
        "parent": None if task.lane == "full" else str(folder / "parent"),
        "metrics": str(folder / METRICS),
    }


_PROOF: type[Trainer] = CommandTrainer
