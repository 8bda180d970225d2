"""Ed25519 keys of signed notes, in the text form of C2SP signed-note.

A verifier key is `<name>+<key id>+<base64>`; a signer key is the same behind `PRIVATE+KEY+`, over
the seed in place of the public key.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from mlreg.registry.domain.notes import ED25519, Note, NoteError, NoteSignature, key_id

PRIVATE = "PRIVATE+KEY+"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The key that tells whether a note was signed by its owner."""

    name: str
    public_key: bytes

    @classmethod
    def parse(cls, written: str) -> VerifierKey:
        """Read a verifier key.

        Raises:
            NoteError: it is none.
        """
        name, claimed, key = _parse(written.strip())
        if claimed != key_id(name, key).hex():
            raise NoteError("this is not a verifier key: its id does not fit its bytes")
        return cls(name, key)

    @override
    def __str__(self) -> str:
        return _written(self.name, key_id(self.name, self.public_key), self.public_key)

    def signed(self, note: Note) -> bool:
        """Say whether one of the note's signatures is by this key."""
        own = key_id(self.name, self.public_key)
        return any(
            self._holds(note.text, one)
            for one in note.signatures
            if (one.name, one.key_id) == (self.name, own)
        )

    def _holds(self, text: str, one: NoteSignature) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(one.signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """The key that signs notes; its seed is not shown by repr."""

    name: str
    _private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str) -> SignerKey:
        """Make a new key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, written: str) -> SignerKey:
        """Read a signer key.

        Raises:
            NoteError: it is none; the message does not quote it.
        """
        text = written.strip()
        if not text.startswith(PRIVATE):
            raise NoteError(f"this is not a signer key: it does not begin with {PRIVATE}")
        name, claimed, seed = _parse(text.removeprefix(PRIVATE))
        key = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if claimed != key_id(name, key.verifier.public_key).hex():
            raise NoteError("this is not a signer key: its id does not fit its bytes")
        return key

    @property
    def secret_text(self) -> str:
        """The key as it is stored."""
        own = key_id(self.name, self.verifier.public_key)
        return PRIVATE + _written(self.name, own, self._private.private_bytes_raw())

    @property
    def verifier(self) -> VerifierKey:
        """The key for everybody else."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Note:
        """Return the text as a note with this key's signature."""
        own = key_id(self.name, self.verifier.public_key)
        signature = self._private.sign(text.encode())
        return Note(text, (NoteSignature(self.name, own, signature),))


def _written(name: str, own: bytes, key: bytes) -> str:
    return f"{name}+{own.hex()}+{base64.b64encode(ED25519 + key).decode()}"


def _parse(written: str) -> tuple[str, str, bytes]:
    name, _, rest = written.partition("+")
    claimed, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("this is not a key of signed notes: it cannot be read") from error
    if not name or len(key) != KEY_BYTES + 1 or key[:1] != ED25519:
        raise NoteError("this is not an Ed25519 key of signed notes")
    return name, claimed, key[1:]
