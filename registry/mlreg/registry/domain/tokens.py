"""The form of a bearer token: `mlr_<kind>_<id>_<32 base62>_<crc32>`.

Prefix and checksum make a leaked token easy to find by a scanner; the 32 random characters (190
bits) make a slow hash needless, so a token is kept as its SHA-256 only. Randomness is an argument.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

from mlreg.registry.domain.actor import SYSTEM, ActorKind
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.names import checked_name

if TYPE_CHECKING:
    from collections.abc import Callable

TokenKind = Literal["person", "service"]
KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
SECRET_LENGTH = 32
RESERVED = frozenset({SYSTEM.name})
_FORM = re.compile(
    rf"mlr_(?P<kind>{'|'.join(KINDS)})_(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})"
    rf"_(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})_[0-9a-f]{{8}}"
)


class ReservedNameError(InvalidError):
    """A name under which the service itself acts; others have a colon, which no name may."""

    code = "reserved_name"
    hint = "Choose another name: this one stands for the service itself in the audit log."

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no token may be named {name!r}")


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


def checked_holder(name: str) -> str:
    """Return the name of a token's holder unchanged.

    Raises:
        InvalidNameError: it is not `[a-z0-9][a-z0-9._-]{0,62}`.
        ReservedNameError: the service itself acts under it.
    """
    if checked_name(name, kind="token") in RESERVED:
        raise ReservedNameError(name=name)
    return name


def make_token(kind: TokenKind, choose: Callable[[str], str]) -> BearerToken:
    """Return a new token; `choose` picks one character of an alphabet, unpredictably."""
    pick = "".join(choose(BASE62) for _ in range(ID_LENGTH + SECRET_LENGTH))
    return BearerToken(kind, pick[:ID_LENGTH], pick[ID_LENGTH:])


def id_of(text: str) -> str | None:
    """Return the id of what has the form of a token, whether or not it is one."""
    form = _FORM.fullmatch(text)
    return None if form is None else form["id"]


def parse_token(text: str) -> BearerToken | None:
    """Return the token that a text is, or None when its form or checksum is wrong."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    token = BearerToken(cast("TokenKind", form["kind"]), form["id"], form["secret"])
    return token if token.text == text else None
