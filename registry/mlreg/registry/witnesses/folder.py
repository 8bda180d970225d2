"""The folder of checkpoints: one file that only grows, and the key that signs.

```
FOLDER/
    checkpoints     every checkpoint, one note after the other
    key             0600: the signer key, made at the first start
    key.pub         the verifier key: put it where this machine's owner cannot change it
```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlreg.registry.domain.errors import UnavailableError
from mlreg.registry.domain.note_keys import SignerKey
from mlreg.registry.domain.notes import Note, parse_notes

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.registry.witnesses.witness import Witness

KEY_NAME = "mlreg"
TAIL_BYTES = 65_536
BLANK = "\n"


class WitnessUnavailableError(UnavailableError):
    """A checkpoint could not be kept."""

    code = "witness_unavailable"
    hint = "Checkpoints that nobody keeps prove nothing: see docs/how-to/verify-the-audit-log.md."

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"the checkpoint was not kept by {where}: {cause}")


class FolderWitness:
    """Keeps checkpoints in a file of a folder."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self.file = folder / "checkpoints"
        self._folder = folder

    def keep(self, note: str, size: int) -> None:
        """See `Witness.keep`."""
        del size
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(self.file, "ab", opener=_private) as file:
                torn = file.tell() > 0 and not self._ends_whole()
                file.write(f"{2 * BLANK if torn else ''}{note}{BLANK}".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise WitnessUnavailableError(where=self.where, cause=_cause(error)) from error

    def find_newest(self) -> Note | None:
        """Return the last checkpoint that was kept whole; None: none yet.

        Raises:
            NoteError: the file bears something else.
        """
        try:
            notes = list(parse_notes(self._tail(TAIL_BYTES).decode()))
        except FileNotFoundError:
            return None
        return notes[-1] if notes else None

    def _ends_whole(self) -> bool:
        return self._tail(2) == b"\n\n"

    def _tail(self, amount: int) -> bytes:
        with self.file.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - amount, 0))
            return file.read()


def key_of(folder: Path) -> SignerKey:
    """Return the folder's signer key; make it when there is none.

    Raises:
        NoteError: the file bears something else.
        WitnessUnavailableError: it can be neither read nor made.
    """
    file = folder / "key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _create(file, SignerKey.generate(KEY_NAME).secret_text, 0o600)
        key = SignerKey.parse(file.read_text())
        if not (folder / "key.pub").exists():
            _create(folder / "key.pub", str(key.verifier), 0o644)
    except OSError as error:
        raise WitnessUnavailableError(where=str(folder), cause=_cause(error)) from error
    return key


def _create(file: Path, line: str, mode: int) -> None:
    """Make a file whole or not at all; one that another process has just made stays."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(part, file)
    except FileExistsError:
        return
    finally:
        part.unlink()


def _private(file: str, flags: int) -> int:
    return os.open(file, flags, 0o600)


def _cause(error: OSError) -> str:
    return error.strerror or type(error).__name__


_PROOF: tuple[type[Witness], ...] = (FolderWitness,)
