"""Signed notes: a text that ends in a newline, a blank line, and signatures (C2SP signed-note).

What always holds: a signature is over the text with its last newline; a key is named by its name
and four bytes of its hash, so that a note may bear signatures of keys that a reader does not know.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from typing_extensions import override

from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

ED25519 = b"\x01"
DASH = "\N{EM DASH} "
_KEY_ID_BYTES = 4
_NOTE = re.compile(rf"^((?:[^\n]+\n)+)\n((?:{DASH}[^\n]+\n)+)", re.MULTILINE)


class NoteError(InvalidError):
    """A text that is no signed note, or a key that is no key of one."""

    code = "invalid_note"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature of a note, and the key that made it."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The signature as it stands in a note."""
        return f"{DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures; nothing is checked yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @override
    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)


def key_id(name: str, public_key: bytes) -> bytes:
    """Return the four bytes that stand for an Ed25519 key in a note."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:_KEY_ID_BYTES]


def parse_note(note: str) -> Note:
    """Take a note apart.

    Raises:
        NoteError: it is none.
    """
    found = _NOTE.fullmatch(note.rstrip("\n") + "\n")
    if found is None:
        raise NoteError("this is not a signed note: its text or its signature is missing")
    return _note(found)


def parse_notes(written: str) -> Iterator[Note]:
    """Yield the notes of a file in which one follows the other; torn ones are passed over.

    Raises:
        NoteError: a signature in it cannot be read.
    """
    return map(_note, _NOTE.finditer(written))


def _note(found: re.Match[str]) -> Note:
    text, signatures = found.groups()
    return Note(text, tuple(map(_parse_signature, signatures.rstrip("\n").split("\n"))))


def _parse_signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    try:
        both = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("this is not a signed note: a signature cannot be read") from error
    if not name or len(both) <= _KEY_ID_BYTES:
        raise NoteError("this is not a signed note: a signature cannot be read")
    return NoteSignature(name, both[:_KEY_ID_BYTES], both[_KEY_ID_BYTES:])
