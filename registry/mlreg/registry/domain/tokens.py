"""The form of a bearer token: `mlr_<kind>_<id>_<32 base62>_<crc32>`.

Prefix and checksum make a leaked token easy to find by a scanner; the 32 random characters (190
bits) make a slow hash needless, so a token is kept as its SHA-256 only. Randomness is an argument.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from mlreg.registry.domain.actor import ActorKind

if TYPE_CHECKING:
    from collections.abc import Callable

TokenKind = Literal["person", "service"]
KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
SECRET_LENGTH = 32
_PARTS = 5
_MAX_LENGTH = 100


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A whole token; never logged, shown once."""

    kind: ActorKind
    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The whole token, as its bearer sends it."""
        body = f"mlr_{self.kind}_{self.id}_{self.secret}"
        return f"{body}_{zlib.crc32(body.encode()):08x}"

    @property
    def digest(self) -> str:
        """The SHA-256 of the whole token, in hexadecimal: what may be kept of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def make_token(kind: TokenKind, choose: Callable[[str], str]) -> BearerToken:
    """Return a new token; `choose` picks one character of an alphabet, unpredictably."""
    pick = "".join(choose(BASE62) for _ in range(ID_LENGTH + SECRET_LENGTH))
    return BearerToken(kind, pick[:ID_LENGTH], pick[ID_LENGTH:])


def parse_token(text: str) -> BearerToken | None:
    """Return the token that a text is, or None when its form or checksum is wrong."""
    parts = text.split("_") if len(text) <= _MAX_LENGTH else []
    if len(parts) != _PARTS or parts[0] != "mlr" or not text.isascii():
        return None
    kind = next((kind for kind in KINDS if kind == parts[1]), None)
    if kind is None:
        return None
    token = BearerToken(kind, parts[2], parts[3])
    return token if token.text == text else None
