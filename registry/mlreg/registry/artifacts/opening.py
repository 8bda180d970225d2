"""Opening the store that a URL names: the composition root of this room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlreg.registry.artifacts.errors import InvalidStoreUrlError
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.artifacts.settings import S3Settings

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore


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
