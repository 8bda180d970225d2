"""Bytes at rest over the wire: scrubs and the garbage collection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from mlreg.client.wire.base import Answer, Name, Request


class ScrubRequest(Request):
    """Which blobs to hash anew: of one model, all, or (neither) those that are due.

    Attributes:
        after: the `next` of the turn before.
    """

    model: Name | None = None
    everything: bool = False
    after: Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""


class CorruptBlobAnswer(Answer):
    """A blob whose bytes are not those that were registered, and the versions that have it."""

    digest: str
    size: int
    fault: str
    versions: list[str]


class ScrubAnswer(Answer):
    """What one turn of a scrub saw; `next` is empty when there is nothing left of its scope."""

    blobs: int
    bytes: int
    corrupt: list[CorruptBlobAnswer]
    next: str
    remaining_blobs: int
    remaining_bytes: int


class GarbageItemAnswer(Answer):
    """One thing that a collection would do, or did; `due_at` is when, if not at once."""

    verb: str
    what: str
    why: str
    bytes: int
    due_at: datetime | None


class GarbageAnswer(Answer):
    """What a collection would do, and why."""

    items: list[GarbageItemAnswer]


class CollectedAnswer(Answer):
    """What a collection did; `bytes` is what was freed."""

    purged: int
    condemned: int
    removed: int
    spared: int
    bytes: int
    items: list[GarbageItemAnswer]
