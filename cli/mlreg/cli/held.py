"""Checkpoints that somebody holds against an audit log: read from files, their signatures checked.

What always holds: a checkpoint whose signature is not by the key that counts is never passed over
in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlreg.cli.output import warn
from mlreg.client.errors import IntegrityError, InvalidError
from mlreg.registry.domain.checkpoints import Held, parse_checkpoint
from mlreg.registry.domain.notes import Note, NoteError, parse_notes


@dataclass(frozen=True, slots=True)
class HeldNote:
    """A checkpoint, and where it comes from."""

    source: str
    note: Note

    @property
    def held(self) -> Held:
        """What it holds against the log."""
        checkpoint = parse_checkpoint(self.note)
        return Held(checkpoint.size, checkpoint.root)


def read_notes(files: Iterable[Path]) -> list[HeldNote]:
    """Return the checkpoints of some files; each may bear many.

    Raises:
        InvalidError: a file bears none.
    """
    return [one for file in files for one in notes_of(str(file), file.read_text())]


def notes_of(source: str, written: str) -> list[HeldNote]:
    """Return the checkpoints in a text.

    Raises:
        InvalidError: there is none.
    """
    try:
        found = [HeldNote(source, note) for note in parse_notes(written)]
        for one in found:
            parse_checkpoint(one.note)
    except NoteError as error:
        raise InvalidError(f"{source}: {error}", code=NoteError.code) from error
    if not found:
        raise InvalidError(f"{source}: there is no signed checkpoint in it", code=NoteError.code)
    return found


def check_signatures(notes: Sequence[HeldNote], verifier: str | None) -> None:
    """Check that every checkpoint is signed by the key that counts.

    Raises:
        IntegrityError: one is not.
        InvalidError: the key is none.
    """
    if not notes:
        return
    if verifier is None:
        warn("no key is known: the signatures of the checkpoints are not checked")
        return
    try:
        from mlreg.registry.domain.note_keys import VerifierKey
    except ImportError:
        warn("signatures are not checked: install `mlreg[sign]`")
        return
    try:
        key = VerifierKey.parse(verifier)
    except NoteError as error:
        raise InvalidError(str(error), code=NoteError.code) from error
    for one in notes:
        if not key.signed(one.note):
            raise IntegrityError(
                f"{one.source}: the checkpoint of {one.held.size} entries is not signed by {key}",
                code="checkpoint_not_signed",
                hint="Give the key that counts by --key; the server's own is `mlreg audit key`.",
            )


def read_key(given: str) -> str:
    """Return a verifier key: the text itself, or the content of the file that it names."""
    file = Path(given)
    return file.read_text().strip() if file.is_file() else given
