"""Keeping a store in order: what lies in it, and putting aside what should not be served.

What always holds: only objects that bear the name of a blob are listed, moved or removed; what else
somebody keeps beside them is none of our business. A quarantined object is out of every reader's
reach and stays, under `quarantine/`, for who looks into what happened to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

QUARANTINE = "quarantine"
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """An object under the name of a blob; whether its bytes are right is not said.

    Attributes:
        size: in bytes.
        modified_at: when it was last written, by the store's clock.
    """

    digest: str
    size: int
    modified_at: datetime


class Upkeep(Protocol):
    """What a store can do besides keeping blobs."""

    def list_blobs(self) -> Iterator[StoredBlob]:
        """Yield every object under the name of a blob, a page at a time.

        Raises:
            StoreUnreachableError, StoreRefusedError: it cannot be listed now.
        """
        ...

    def quarantine(self, digest: str) -> str | None:
        """Put the object of that name aside; return its new key, None if it is not there.

        Raises:
            StoreUnreachableError, StoreRefusedError, StorageFullError: it stays where it is.
        """
        ...

    def sweep_quarantine(self, before: datetime) -> int:
        """Remove what was put aside before a moment; return how many objects that were."""
        ...


def digest_of_key(key: str) -> str | None:
    """Return the digest that a key is the place of, None when it is of something else."""
    match = _BLOB.fullmatch(key)
    if match is None or match[1] != match[2][:2]:
        return None
    return f"sha256:{match[2]}"


def quarantine_key(digest: str, mark: str) -> str:
    """Return where an object is put aside; `mark` keeps two of one name apart."""
    return f"{QUARANTINE}/{digest.removeprefix('sha256:')}-{mark}"
