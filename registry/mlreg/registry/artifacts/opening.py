"""Opening the store that a URL names: the composition root of this room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlreg.registry.artifacts.errors import InvalidStoreUrlError
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.artifacts.filesystem_transfers import FolderTransfers
from mlreg.registry.artifacts.filesystem_upkeep import FolderUpkeep
from mlreg.registry.artifacts.settings import S3Settings

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.transfers import DirectTransfers, Transfers
    from mlreg.registry.artifacts.upkeep import Upkeep


def open_store(url: str, s3_settings: S3Settings | None = None) -> ArtifactStore:
    """Open `file:///absolute/folder` or `s3://bucket/prefix`; the folder is made if need be.

    Raises:
        InvalidStoreUrlError: it is neither.
        StoreRefusedError, StorageFullError: the folder cannot be made.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.query or parts.fragment or parts.username:
        raise InvalidStoreUrlError(url=url)
    match parts.scheme, parts.netloc:
        case "file", "" | "localhost" if len(path) > 1:
            return FolderStore(Path(path))
        case "s3", bucket if bucket:
            from mlreg.registry.artifacts.s3 import S3Store  # noqa: PLC0415 - boto3 only where used

            return S3Store(bucket, path.strip("/"), s3_settings or S3Settings())
    raise InvalidStoreUrlError(url=url)


def open_transfers(store: ArtifactStore) -> tuple[Transfers, DirectTransfers | None]:
    """Return how bytes at size move in and out of a store, and what clients may do there directly.

    Raises:
        TypeError: the store is of no kind that `open_store` opens.
    """
    if isinstance(store, FolderStore):
        return FolderTransfers(store), None
    from mlreg.registry.artifacts.s3 import S3Store  # noqa: PLC0415 - boto3 only where used
    from mlreg.registry.artifacts.s3_transfers import S3Direct, S3Transfers  # noqa: PLC0415

    if not isinstance(store, S3Store):
        raise TypeError(store)
    given = store.settings
    public = replace(given, endpoint_url=given.public_endpoint_url or given.endpoint_url)
    return S3Transfers(store), S3Direct(store, public) if given.direct else None


def open_upkeep(store: ArtifactStore) -> Upkeep:
    """Return how a store is kept in order.

    Raises:
        TypeError: the store is of no kind that `open_store` opens.
    """
    if isinstance(store, FolderStore):
        return FolderUpkeep(store)
    from mlreg.registry.artifacts.s3 import S3Store  # noqa: PLC0415 - boto3 only where used
    from mlreg.registry.artifacts.s3_upkeep import S3Upkeep  # noqa: PLC0415

    if not isinstance(store, S3Store):
        raise TypeError(store)
    return S3Upkeep(store)
