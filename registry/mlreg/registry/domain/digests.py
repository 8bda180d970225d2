"""Canonical JSON (RFC 8785) and the sha256 names of things: `sha256:<64 hex>`."""

from __future__ import annotations

import hashlib
import re

import rfc8785

from mlreg.registry.domain.errors import InvalidError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class InvalidDigestError(InvalidError):
    """A digest that is not `sha256:` and 64 hexadecimal digits."""

    code = "invalid_digest"
    hint = "Tables and trees shorten digests; the same command with --json has all of it."

    def __init__(self, *, digest: str) -> None:
        super().__init__(f"{digest[:80]!r} is not a digest; it must be sha256: and 64 hex digits")


def canonical_json(value: object) -> bytes:
    """Return the one byte form of a JSON value (RFC 8785).

    Raises:
        InvalidError: the value has a NaN, an infinity or an integer beyond 2^53.
    """
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError as error:
        message = f"not representable as canonical JSON: {error}"
        raise InvalidError(message) from error


def digest_of(content: bytes) -> str:
    """Return `sha256:<hex>` of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_of_json(value: object) -> str:
    """Return the digest of the canonical JSON of a value."""
    return digest_of(canonical_json(value))


def checked_digest(digest: str) -> str:
    """Return the digest unchanged.

    Raises:
        InvalidDigestError: it is not `sha256:` and 64 lower-case hexadecimal digits.
    """
    if DIGEST.fullmatch(digest) is None:
        raise InvalidDigestError(digest=digest)
    return digest
