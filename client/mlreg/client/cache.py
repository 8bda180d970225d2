"""Blobs on this machine's own disk, by digest: what was downloaded once is not downloaded again.

`<folder>/blobs/<64 hex>` are whole blobs, `<folder>/partial/…` downloads that can be resumed.

What always holds: a blob gets its name only after its bytes were hashed, and is hashed again
whenever it is taken; files are this user's alone; the least recently used go first when all are
more than `max_bytes`; `$MLREG_CACHE_DIR` and `$MLREG_CACHE_BYTES` say where and how much.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError
from mlreg.client.new_files import new_file
from mlreg.client.provenance import CHUNK_BYTES, digest_of_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_BYTES = 10 * 2**30


class BlobCache:
    """One folder of blobs; several processes may share it."""

    def __init__(self, folder: Path, max_bytes: int = DEFAULT_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._blobs = folder / "blobs"
        self._partial = folder / "partial"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> BlobCache:  # noqa: TID251 - an edge
        """Return this user's cache: `$MLREG_CACHE_DIR`, by default `~/.cache/mlreg`, 10 GiB.

        Raises:
            InvalidError: `MLREG_CACHE_BYTES` is no number of bytes.
        """
        given = environ.get("MLREG_CACHE_DIR")
        home = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        limit = environ.get("MLREG_CACHE_BYTES", str(DEFAULT_BYTES))
        if not limit.isascii() or not limit.isdigit():
            raise InvalidError("MLREG_CACHE_BYTES is no number of bytes", code="invalid_settings")
        return cls(Path(given) if given else Path(home) / "mlreg", int(limit))

    def find(self, digest: str) -> Path | None:
        """Return a blob whose bytes were hashed just now, or None; a rotten one is removed."""
        place = self._place(digest)
        try:
            if digest_of_file(place) == digest:
                os.utime(place)
                return place
            place.unlink(missing_ok=True)
        except OSError:
            pass
        return None

    @contextmanager
    def partial(self, digest: str) -> Iterator[Path]:
        """Hand out the file in which a blob's download goes on; others wait for their turn.

        The file may hold what came before; who downloads removes what cannot be used.

        Raises:
            OSError: the cache's folder cannot be written to.
        """
        self._partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._partial / digest.removeprefix("sha256:")
        with part.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield part
            if not part.exists():
                part.with_suffix(".lock").unlink(missing_ok=True)

    def add(self, file: Path, digest: str) -> None:
        """Take a copy of a small, hashed file in; where that cannot be, do without."""
        if self.max_bytes:
            with suppress(OSError):
                self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
                place(file, self._place(digest))
                self._evict(digest)

    def keep(self, part: Path, digest: str) -> Path | None:
        """Take a hashed file of `partial` in, unless it is too large; return its place."""
        if part.stat().st_size > self.max_bytes:
            return None
        self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.replace(self._place(digest))
        self._evict(digest)
        return self._place(digest)

    def _place(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def _evict(self, kept: str) -> None:
        found = []
        for path in self._blobs.iterdir():
            with suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.max_bytes:
                return
            if path != self._place(kept):
                path.unlink(missing_ok=True)
                total -= size


def place(source: Path, target: Path, *, link: bool = False) -> None:
    """Give a file a second name: a copy, or the same file where nobody edits it."""
    if link:
        with suppress(OSError):  # another file system: a copy
            os.link(source, target)
            return
    with source.open("rb") as content, new_file(target) as out:
        shutil.copyfileobj(content, out, CHUNK_BYTES)
