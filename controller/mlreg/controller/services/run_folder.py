"""The folder of one attempt: rows and models in, one child at a time, its answer out.

What always holds: a folder belongs to one attempt and is gone afterwards; model files are verified
on the way in; a child's refusal ends the job, a crash is worth another attempt.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.controller.domain.trainer_kinds import model_file_of
from mlreg.controller.executors.executor import (
    ERROR_FILE,
    LOCAL,
    ChildTask,
    Limits,
    Resources,
    failure_line,
    is_over_limit,
)
from mlreg.controller.removal import remove_folder
from mlreg.controller.services.trainer_commands import needs_network, seal, writes_of
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.errors import RefusedError, UnavailableError
from mlreg.registry.domain.manifests import Manifest
from mlreg.registry.services import catalog, uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.commands import Commands
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Version

MODEL = "model.txt"
CONTRACT = "contract.json"


class ChildRefusedError(RefusedError):
    """The child looked at its job and refused it: a label, a parent, a model file is wrong."""

    def __init__(self, *, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class ChildOverLimitError(RefusedError):
    """The child took more time or memory than it may."""

    code = "over_limit"


class ChildCrashedError(UnavailableError):
    """The child ended without an answer."""

    code = "child_crashed"


class NotLoadableError(RefusedError):
    """A version that no trainer here can score, or without a feature contract."""

    code = "not_loadable"
    hint = "Promote a version that mlreg can score, or register it with a contract."

    def __init__(self, *, number: int) -> None:
        super().__init__(
            f"version {number} has no single LightGBM text model with a feature contract, and no"
            " run of another trainer made it, so it can neither be trained on nor judged against"
        )


@dataclass(frozen=True, slots=True)
class ChildCall:
    """One call of a child: its entry point, its job, and who hears what it prints.

    Attributes:
        writes: folders beside its own that it may write in.
    """

    entry: str
    job: Mapping[str, Any]
    on_lines: Callable[[Sequence[str]], None]
    limits: Limits = field(default_factory=Limits)
    executor: str = LOCAL
    resources: Resources = field(default_factory=Resources)
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildAnswer:
    """What a child answered, and what it took."""

    result: Mapping[str, Any]
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a version's files come from, and who can score it.

    Attributes:
        trainer: the kind.
        command: of `command`, its name.
    """

    number: int
    manifest: Manifest
    contract: FeatureContract
    trainer: str = "lightgbm"
    command: str | None = None


@contextmanager
def open_folder(attempt: Attempt, name: str) -> Iterator[Path]:
    """Make a folder for this attempt, and remove it with all that is in it afterwards."""
    attempt.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=attempt.folder, prefix=f"{name}-"))
    try:
        yield folder
    finally:
        remove_folder(folder)
        pa.default_memory_pool().release_unused()  # Arrow would keep a run's rows for the next


def write_rows(folder: Path, name: str, rows: pa.Table) -> None:
    """Write rows as a Parquet file for the child."""
    pq.write_table(rows, folder / name, compression="lz4")


def call_child(attempt: Attempt, folder: Path, call: ChildCall) -> ChildAnswer:
    """Run a child on the folder and return its answer.

    Raises:
        ChildRefusedError: it refused the job; another attempt would too.
        ChildOverLimitError: its limits ended it.
        ChildCrashedError: it ended without an answer; another attempt may go well.
        HaltedError: the attempt was told to stop; the child is gone.
        UnavailableError: the executor is not to be had, or its cluster failed the task.
    """
    for name in ("result.json", ERROR_FILE):
        (folder / name).unlink(missing_ok=True)
    (folder / "job.json").write_text(json.dumps(dict(call.job), allow_nan=False))
    task = ChildTask(
        call.entry,
        folder,
        call.limits,
        call.on_lines,
        network=needs_network(call.job),
        executor=call.executor,
        resources=call.resources,
        writes=(*writes_of(call.job), *call.writes),
    )
    ended = attempt.executor.run(task, attempt.halt)
    attempt.check()
    if not ended.succeeded and is_over_limit(task, ended):
        raise ChildOverLimitError(failure_line(task, ended))
    if not ended.succeeded:
        raise ChildCrashedError(failure_line(task, ended))
    result = json.loads((folder / "result.json").read_text())
    if result.get("outcome") == "failed":
        raise ChildRefusedError(
            code=str(result.get("code", "refused")),
            message=str(result.get("message", "the child refused its job")),
            hint=str(result.get("hint", "")),
        )
    return ChildAnswer(result, ended.seconds, ended.peak_bytes)


def find_source(session: ReadSession, version: Version) -> ModelSource | None:
    """Return where the files of a version are, None when mlreg cannot load it."""
    contract = catalog.find_feature_contract(session, version)
    kind, command = trainer_of(version)
    if contract is None or kind is None:
        return None
    manifest = catalog.get_manifest(session, version)
    return ModelSource(version.number, manifest, contract, kind, command)


def trainer_of(version: Version) -> tuple[str | None, str | None]:
    """Return the kind of trainer that can score a version, and of `command` its name.

    A LightGBM text model is one whoever made it; the files of others are known by their run alone.
    """
    kind, _, rest = (version.trainer or "").partition("/")
    if version.run_id is not None and kind not in {"", "lightgbm"}:
        return kind, rest if kind == "command" else None
    return ("lightgbm" if version.flavour == "lightgbm-text" else None), None


def get_source(session: ReadSession, version: Version) -> ModelSource:
    """Return where the files of a version are.

    Raises:
        NotLoadableError: no trainer can score it, or it has no feature contract.
    """
    source = find_source(session, version)
    if source is None:
        raise NotLoadableError(number=version.number)
    return source


def place_model(store: ArtifactStore, source: ModelSource, folder: Path, role: str) -> None:
    """Write a version's model and contract into `role/`, verified on the way out.

    Raises:
        NotLoadableError: it is not clear which file is the model.
        BlobCorruptError: bytes are not what was registered, or are gone.
    """
    uploads.fetch_artifact(store, source.manifest, folder / role)
    if source.trainer == "lightgbm":
        _settle_model_file(folder / role, source)
    (folder / role / CONTRACT).write_text(json.dumps(source.contract.to_document()))


def files_of(role: str, source: ModelSource, commands: Commands) -> dict[str, Any]:
    """Return a model that was placed as a job names it, with who can score it.

    Raises:
        CommandNotFoundError, CommandFileError: its command is not to be had on this worker.
    """
    sealed = None
    if source.command is not None:
        sealed = seal(source.command, commands.find(source.command)).model_dump(mode="json")
    return {
        "model": f"{role}/{model_file_of(source.trainer)}",
        "contract": f"{role}/{CONTRACT}",
        "trainer": source.trainer,
        "command": sealed,
    }


def _settle_model_file(place: Path, source: ModelSource) -> None:
    """A registration by hand may name its model file as it likes; the child wants `model.txt`."""
    if (place / MODEL).exists():
        return
    texts = [file.path for file in source.manifest.files if file.path.endswith(".txt")]
    if len(texts) != 1:
        raise NotLoadableError(number=source.number)
    (place / texts[0]).replace(place / MODEL)
