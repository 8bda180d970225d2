"""Trainer commands as jobs have them: what is run, sealed with the digests of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.commands import SealedCommand
from mlreg.controller.domain.trainer_kinds import SHARED_MEMORY, SHARING
from mlreg.registry.domain.digests import digest_of_json
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.controller.domain.commands import TrainerCommand

CHUNK_BYTES = 2**20
_PROGRAM = {"train", "predict", "folder", "environment", "network", "writes"}


class CommandFileError(RefusedError):
    """A file that a command names cannot be read on this worker."""

    code = "trainer_command_file"

    def __init__(self, *, name: str, path: str, cause: str) -> None:
        super().__init__(f"trainer command {name!r}: {path} cannot be read: {cause}")


def seal(name: str, command: TrainerCommand) -> SealedCommand:
    """Return a command with the digest of it and of every file that its words name.

    Raises:
        CommandFileError: its lock, or a file among its words, cannot be read.
    """
    declared = command.model_dump(mode="json")
    words = sorted({*command.train, *command.predict})
    try:
        files = {word: _digest(Path(word)) for word in words if Path(word).is_file()}
        lock = None if command.lock is None else _digest(Path(command.lock))
    except OSError as error:
        path, cause = str(error.filename), error.strerror or type(error).__name__
        raise CommandFileError(name=name, path=path, cause=cause) from error
    program = {key: value for key, value in declared.items() if key in _PROGRAM}
    digest = digest_of_json({**program, "files": files, "lock": lock})
    return SealedCommand(name=name, digest=digest, lock_digest=lock, **program)


def needs_network(job: Mapping[str, Any]) -> bool:
    """Say whether a command in a job may use the network."""
    return any(command["network"] for command in _commands_in(job))


def writes_of(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the child of a job may write beside its own folder.

    A command's declared folders: it starts from the child, and can be confined further, never less.
    """
    declared = {place for command in _commands_in(job) for place in command["writes"]}
    shares = any(part.get("trainer") in SHARING for part in _parts_of(job))
    return tuple(sorted(declared | ({SHARED_MEMORY} if shares else set())))


def _commands_in(job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (part["command"] for part in _parts_of(job) if part.get("command"))


def _parts_of(job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    single = [job, job.get("parent"), job.get("model")]
    return (part for part in (*single, *job.get("models", ())) if isinstance(part, dict))


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as reader:
        while chunk := reader.read(CHUNK_BYTES):
            found.update(chunk)
    return f"sha256:{found.hexdigest()}"
