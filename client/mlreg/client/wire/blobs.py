"""Blobs over the wire."""

from __future__ import annotations

from mlreg.client.wire.base import Answer


class BlobAnswer(Answer):
    """Stored bytes; `state` is verified, corrupt, condemned or deleting."""

    digest: str
    size: int
    state: str
