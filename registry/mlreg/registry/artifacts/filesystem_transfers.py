"""Uploads and ranges of the folder store: `uploads/<session>/<piece>` under its root."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from mlreg.registry.artifacts.errors import BlobNotFoundError, ObjectMissingError
from mlreg.registry.artifacts.filesystem import FolderStore, fsync_folder
from mlreg.registry.artifacts.pieces import BoundedSource, JoinedSource
from mlreg.registry.artifacts.transfers import is_session, upload_key
from mlreg.registry.artifacts.verified import CHUNK_BYTES
from mlreg.registry.artifacts.verifying import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mlreg.registry.artifacts.transfers import Transfers
    from mlreg.registry.artifacts.verified import Source


class FolderTransfers:
    """Pieces as files; a piece has its name only when it is whole and on the disk."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._uploads = store.root / "uploads"

    def append(self, session: str, piece: str, source: BinaryIO) -> None:
        """See `Transfers.append`."""
        path = self._store.root / upload_key(session, piece)
        with self._store.named_errors():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            fsync_folder(path.parent)

    def adopt(self, session: str, pieces: Sequence[str], digest: str, size: int) -> None:
        """See `Transfers.adopt`."""
        paths = [self._store.root / upload_key(session, piece) for piece in pieces]
        openers = [partial(self._opened, path) for path in paths]
        with self._store.named_errors(), JoinedSource(openers) as source:
            self._store.put(digest, cast("BinaryIO", source), size)

    def discard(self, session: str) -> None:
        """See `Transfers.discard`."""
        with self._store.named_errors():
            shutil.rmtree(self._store.root / upload_key(session), ignore_errors=True)

    def stale(self, before: datetime) -> Iterable[str]:
        """See `Transfers.stale`."""
        with self._store.named_errors(), suppress(FileNotFoundError):
            return [
                path.name
                for path in self._uploads.iterdir()
                if is_session(path.name) and _modified(path) < before
            ]
        return []

    @contextmanager
    def read_range(self, digest: str, start: int, end: int) -> Iterator[Source]:
        """See `Transfers.read_range`."""
        path = self._store.root / key_of(digest)
        with ExitStack() as opened:
            try:
                with self._store.named_errors():
                    file = opened.enter_context(path.open("rb", buffering=0))
            except FileNotFoundError as error:
                raise BlobNotFoundError(digest=digest) from error
            file.seek(start)
            yield BoundedSource(file, end - start)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Source]:
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise ObjectMissingError(where=str(self._store.root)) from error
        with file:
            yield file


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.max.replace(tzinfo=UTC)


_PROOF: type[Transfers] = FolderTransfers
