"""The folder store kept in order: renames within its root, listing folder by folder."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.filesystem import FolderStore, fsync_folder
from mlreg.registry.artifacts.upkeep import (
    QUARANTINE,
    StoredBlob,
    digest_of_key,
    quarantine_key,
)
from mlreg.registry.artifacts.verifying import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlreg.registry.artifacts.upkeep import Upkeep


class FolderUpkeep:
    """Blobs of a folder; a link or a folder under a blob's name is not listed."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store

    def list_blobs(self) -> Iterator[StoredBlob]:
        """See `Upkeep.list_blobs`."""
        for folder in _entries(self._store.root / "blobs" / "sha256"):
            for path in _entries(folder):
                digest = digest_of_key(path.relative_to(self._store.root).as_posix())
                if digest is not None and path.is_file() and not path.is_symlink():
                    with suppress(FileNotFoundError):
                        yield _stored(digest, path)

    def quarantine(self, digest: str) -> str | None:
        """See `Upkeep.quarantine`."""
        key = quarantine_key(digest, secrets.token_hex(4))
        source, target = self._store.root / key_of(digest), self._store.root / key
        with self._store.named_errors():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                source.rename(target)
            except FileNotFoundError:
                return None
            target.touch()
            fsync_folder(target.parent)
            fsync_folder(source.parent)
        return key

    def sweep_quarantine(self, before: datetime) -> int:
        """See `Upkeep.sweep_quarantine`."""
        removed = 0
        with self._store.named_errors():
            for path in _entries(self._store.root / QUARANTINE):
                if _modified(path) < before:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _stored(digest: str, path: Path) -> StoredBlob:
    return StoredBlob(digest, path.stat().st_size, _modified(path))


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


_PROOF: type[Upkeep] = FolderUpkeep
