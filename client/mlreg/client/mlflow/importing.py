"""The import: every version of one MLflow model, oldest first, into one model here.

What always holds: a version is registered with all its files or not at all; one that was imported
before (its tags name it) is passed over, so that an import that broke off is simply repeated; a
version that MLflow had not finished, or whose file this registry refuses, is reported and left out.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.client.mlflow.mapping import MODEL_TAG, VERSION_TAG, Described, translate
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import VersionRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.client.client import Client
    from mlreg.client.mlflow.records import MlflowFile, MlflowVersion
    from mlreg.client.mlflow.server import MlflowServer
    from mlreg.client.wire.versions import VersionAnswer

READY = "READY"
MAX_DESCRIPTION_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one version of MLflow's.

    Attributes:
        number: MLflow's number.
        version: its number here; None when it was left out.
        outcome: imported, present, skipped or refused.
        unsafe: a pickle; loading it can run any code.
        aliases: those that pointed at it in MLflow.
        notes: what was left out of it, and why.
    """

    number: int
    version: int | None
    outcome: str
    flavour: str | None = None
    unsafe: bool = False
    aliases: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def ensure_model(client: Client, name: str, source: str, task: str | None) -> None:
    """Create the model that takes the versions, unless it is there.

    Raises:
        InvalidError: it is not there, and `task` does not say what it predicts.
    """
    try:
        client.models.get(name)
    except NotFoundError:
        if task is None:
            raise InvalidError(
                f"there is no model {name!r} here yet, and MLflow does not know what it predicts",
                code="task_required",
                hint="Say --task binary, multiclass, regression or ranking.",
            ) from None
        target = TargetForm(task=task)
        request = ModelRequest(name=name, target=target, description=f"from MLflow: {source}")
        client.models.create(request)


def import_versions(
    client: Client,
    server: MlflowServer,
    source: str,
    name: str,
    *,
    on_bytes: Callable[[int], None] = lambda _amount: None,
) -> Iterator[Imported]:
    """Import the versions of MLflow's model `source` into the model `name`, one by one.

    Raises:
        NotFoundError: MLflow has no such model. UnreachableError: one of the two gave no answer.
    """
    there = _imported_before(client, name, source)
    for version in server.versions(source):
        known = there.get(str(version.number))
        if known is not None:
            yield _outcome(version, "present", known)
        elif version.status != READY:
            yield Imported(version.number, None, "skipped", notes=[f"it is {version.status}"])
        else:
            yield _import(client, server, version, name, on_bytes)


def _import(
    client: Client,
    server: MlflowServer,
    version: MlflowVersion,
    name: str,
    on_bytes: Callable[[int], None],
) -> Imported:
    with tempfile.TemporaryDirectory(prefix="mlreg-import-") as place:
        folder = Path(place)
        try:
            files = server.files(version)
            _fetch(server, version, files, folder, on_bytes)
            described = _describe(folder)
            found = translate(version, server.run(version), described)
            registered = client.versions.register(
                name,
                folder,
                lambda uploaded: VersionRequest(
                    files=list(uploaded),
                    provenance=found.provenance,
                    metrics=found.metrics,
                    tags=found.tags,
                    allow_missing=found.lacking,
                    description=version.description,
                ),
            )
        except (InvalidError, RefusedError, NotFoundError) as error:
            return Imported(version.number, None, "refused", notes=[str(error)])
        except (ValueError, OSError) as error:  # a form that is none; names that no disk takes
            note = f"it cannot be kept: {str(error).splitlines()[0][:200]}"
            return Imported(version.number, None, "refused", notes=[note])
    return _outcome(version, "imported", registered, found.notes, described.flavour)


def _outcome(
    version: MlflowVersion,
    outcome: str,
    registered: VersionAnswer,
    notes: list[str] | None = None,
    flavour: str | None = None,
) -> Imported:
    return Imported(
        number=version.number,
        version=registered.number,
        outcome=outcome,
        flavour=flavour or registered.trainer or registered.flavour,
        unsafe=registered.unsafe,
        aliases=version.aliases,
        notes=notes or [],
    )


def _fetch(
    server: MlflowServer,
    version: MlflowVersion,
    files: list[MlflowFile],
    folder: Path,
    on_bytes: Callable[[int], None],
) -> None:
    if not files:
        raise NotFoundError(f"MLflow lists no file of version {version.number}", code="no_files")
    listed = sum(file.size or 0 for file in files)
    if listed > shutil.disk_usage(folder).free:
        raise InvalidError(f"{listed} bytes are listed, more than {folder} has", code="too_big")
    for file in files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            server.fetch(version, file, out, on_bytes)


def _describe(folder: Path) -> Described:
    """Read the metadata files of a version's folder; what is none is empty.

    Raises:
        InvalidError: PyYAML, which reads them, is not installed.
    """
    try:
        import yaml  # noqa: PLC0415 - needed by this import alone, and not by the client
    except ModuleNotFoundError as error:
        raise InvalidError(
            "MLflow's files are YAML, and PyYAML, which reads it, is not installed",
            code="no_yaml",
            hint="`pip install pyyaml`.",
        ) from error
    try:
        mlmodel = yaml.safe_load(_text(folder / "MLmodel"))
    except (yaml.YAMLError, ValueError, RecursionError):
        mlmodel = None
    return Described(
        mlmodel=mlmodel if isinstance(mlmodel, dict) else {},
        requirements=_text(folder / "requirements.txt").splitlines(),
    )


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > MAX_DESCRIPTION_BYTES:
        return ""
    return path.read_text("utf-8", errors="replace")


def _imported_before(client: Client, name: str, source: str) -> dict[str, VersionAnswer]:
    """Return the versions here that came from that model, by MLflow's number."""
    there: dict[str, VersionAnswer] = {}
    before = None
    while True:
        page = client.versions.list(name, before=before, limit=500)
        for version in page.items:
            if version.tags.get(MODEL_TAG) == source:
                there[version.tags.get(VERSION_TAG, "")] = version
        if page.next is None:
            return there
        before = int(page.next)
