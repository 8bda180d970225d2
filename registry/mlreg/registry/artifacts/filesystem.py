"""The folder store: blobs as read-only files under one root.

What always holds: a file gets its name by `os.link` from a finished, fsynced file in `tmp/` of the
same file system, so a name never shows half a file; folder and file survive a power cut before
`put` returns; what a killed server left in `tmp/` is swept at the next start.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from typing_extensions import override

from mlreg.registry.artifacts.errors import StoreRefusedError, StoreUnreachableError
from mlreg.registry.artifacts.store import Capabilities
from mlreg.registry.artifacts.verified import CHUNK_BYTES
from mlreg.registry.artifacts.verifying import VerifyingStore
from mlreg.registry.domain.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.verified import Source

LEFTOVER_SECONDS = 24 * 3600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderStore(VerifyingStore):
    """Blobs in a folder of this machine, readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._tmp = self.root / "tmp"
        with self.named_errors():
            self._tmp.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sweep(self._tmp)

    def probe(self) -> Capabilities:
        """See `ArtifactStore.probe`."""
        with self.named_errors():
            first, second = self._tmp_path(), self._tmp_path()
            first.write_bytes(b"probe")
            os.link(first, second)
            with suppress(FileExistsError):
                os.link(first, second)
                raise StoreRefusedError(where=str(self.root), cause="it links over other files")
            first.unlink()
            second.unlink()
        return Capabilities(
            kind="folder",
            where=str(self.root),
            create_only=True,
            refuses_wrong_checksum=False,
            range_reads=True,
        )

    @override
    def _create(self, key: str, source: BinaryIO, size: int) -> bool:
        path = self.root / key
        if path.exists():
            return False
        with self.named_errors(), self._written(source) as part:
            _make_folder(path.parent, self.root)
            try:
                os.link(part, path)
            except FileExistsError:
                return False
            fsync_folder(path.parent)
            return True

    @override
    def _replace(self, key: str, source: BinaryIO, size: int) -> None:
        path = self.root / key
        with self.named_errors(), self._written(source) as part:
            _make_folder(path.parent, self.root)
            part.replace(path)
            fsync_folder(path.parent)

    @override
    @contextmanager
    def _stream(self, key: str) -> Iterator[Source | None]:
        try:
            with self.named_errors():
                descriptor = os.open(self.root / key, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield None
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file

    @override
    def _size(self, key: str) -> int | None:
        try:
            with self.named_errors():
                return (self.root / key).stat().st_size
        except FileNotFoundError:
            return None

    @override
    def _delete(self, key: str) -> None:
        with self.named_errors(), suppress(FileNotFoundError):
            (self.root / key).unlink()

    @contextmanager
    def _written(self, source: BinaryIO) -> Iterator[Path]:
        """Copy the source into a finished file of `tmp/`, which is gone at the end of the block."""
        part = self._tmp_path()
        try:
            with part.open("xb") as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                file.flush()
                os.fchmod(file.fileno(), 0o400)
                os.fsync(file.fileno())
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _tmp_path(self) -> Path:
        return self._tmp / secrets.token_hex(16)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Give the operating system's refusals our names; `FileNotFoundError` stays as it is."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError(where=str(self.root)) from error
            if error.errno in _REFUSED:
                raise StoreRefusedError(where=str(self.root), cause=str(error)) from error
            if error.errno == errno.ENOENT:
                raise
            raise StoreUnreachableError(where=str(self.root), cause=str(error)) from error


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and every parent below the root, each written through to the disk."""
    if folder.is_dir():
        return
    if folder.parent != root:
        _make_folder(folder.parent, root)
    folder.mkdir(exist_ok=True, mode=0o700)
    fsync_folder(folder.parent)


def fsync_folder(folder: Path) -> None:
    """Write a folder's names through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what a killed server left; younger files may be another process's at work."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                path.unlink()


_PROOF: type[ArtifactStore] = FolderStore
