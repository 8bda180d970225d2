"""The S3 store kept in order: listing by pages, putting aside by copy and delete."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.errors import ObjectMissingError
from mlreg.registry.artifacts.s3 import COPY_SECONDS, S3Store, make_client
from mlreg.registry.artifacts.upkeep import (
    QUARANTINE,
    StoredBlob,
    digest_of_key,
    quarantine_key,
)
from mlreg.registry.artifacts.verifying import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from mlreg.registry.artifacts.upkeep import Upkeep


class S3Upkeep:
    """Blobs of a bucket; what is larger than one copy may be (5 GiB) cannot be put aside."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._copying = make_client(store.settings, read_seconds=COPY_SECONDS)

    def list_blobs(self) -> Iterator[StoredBlob]:
        """See `Upkeep.list_blobs`."""
        for key, item in self._objects("blobs/"):
            digest = digest_of_key(key)
            if digest is not None:
                yield StoredBlob(digest, item["Size"], item["LastModified"])

    def quarantine(self, digest: str) -> str | None:
        """See `Upkeep.quarantine`."""
        key = quarantine_key(digest, secrets.token_hex(4))
        source = self._store.place(key_of(digest))
        try:
            with self._store.named_errors():
                copied: Any = source
                self._copying.copy_object(**self._store.place(key), CopySource=copied)
                self._store.client.delete_object(**source)
        except ObjectMissingError:
            return None
        return key

    def sweep_quarantine(self, before: datetime) -> int:
        """See `Upkeep.sweep_quarantine`."""
        old = [
            key for key, item in self._objects(f"{QUARANTINE}/") if item["LastModified"] < before
        ]
        with self._store.named_errors():
            for key in old:
                self._store.client.delete_object(**self._store.place(key))
        return len(old)

    def _objects(self, prefix: str) -> Iterator[tuple[str, Any]]:
        root, place = self._store.place("")["Key"], self._store.place(prefix)
        with self._store.named_errors():
            pages = self._store.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=place["Bucket"], Prefix=place["Key"]):
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(root), item


_PROOF: type[Upkeep] = S3Upkeep
