"""Downloads, as the client sees them: from the cache, in one go, or large ones in parallel ranges.

What always holds: a file gets its name only after all its bytes were hashed here; a large download
that broke off goes on where it was, from another process too; wrong bytes are an `IntegrityError`,
also when the server could say so only by breaking off.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from mlreg.client.cache import place
from mlreg.client.errors import IntegrityError, UnreachableError
from mlreg.client.new_files import new_file
from mlreg.client.provenance import CHUNK_BYTES
from mlreg.client.ranges import RangedDownload
from mlreg.client.transport import Call, path
from mlreg.client.wire.uploads import LocationAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlreg.client.cache import BlobCache
    from mlreg.client.transport import Transport
    from mlreg.client.wire.versions import FileAnswer

OCTETS = "application/octet-stream"
WHOLE_BYTES = 8 * 2**20
TRANSFER_SECONDS = 600.0


class Downloads:
    """Fetch the files of versions, by way of a cache; `link` where nobody edits what is fetched."""

    def __init__(self, transport: Transport, cache: BlobCache, *, link: bool = False) -> None:
        self._transport = transport
        self._cache = cache
        self._link = link

    def fetch(
        self,
        model: str,
        number: int,
        file: FileAnswer,
        target: Path,
        on_bytes: Callable[[int], None],
    ) -> None:
        """Write one file of a version under its name, verified.

        Raises:
            IntegrityError: the bytes are not what was registered.
            UnreachableError: the transfer broke off.
        """
        cached = self._cache.find(file.digest) if self._cache.max_bytes else None
        if cached is not None:
            on_bytes(file.size)
            place(cached, target, link=self._link)
            return
        where = path("models", model, "versions", number, "blobs", file.digest)
        if file.size > WHOLE_BYTES:
            self._fetch_ranges(where, file, target, on_bytes)
        else:
            self._fetch_whole(where, file, target, on_bytes)

    def _fetch_whole(
        self, where: str, file: FileAnswer, target: Path, on_bytes: Callable[[int], None]
    ) -> None:
        with new_file(target) as out:
            try:
                actual = self._receive(where, out)
            except UnreachableError as error:
                if error.status:  # an answer, and not one that broke off
                    raise
                self._transport.get(f"{where}/location", LocationAnswer)  # says what is corrupt
                out.seek(0)
                out.truncate()
                actual = self._receive(where, out)
            check(file, actual)
            on_bytes(file.size)
        self._cache.add(target, file.digest)

    def _receive(self, where: str, out: BinaryIO) -> str:
        """Write an answer's body to a file and return the digest of what came."""
        sha256 = hashlib.sha256()
        call = Call("GET", where, headers={"Accept": OCTETS}, timeout_seconds=TRANSFER_SECONDS)
        with self._transport.stream(call) as body:
            while piece := body.read(CHUNK_BYTES):
                sha256.update(piece)
                out.write(piece)
        return "sha256:" + sha256.hexdigest()

    def _fetch_ranges(
        self, where: str, file: FileAnswer, target: Path, on_bytes: Callable[[int], None]
    ) -> None:
        with self._cache.partial(file.digest) as part:
            ranges = RangedDownload(self._transport, where, file.size)
            actual = ranges.receive(part, on_bytes)
            if actual != file.digest:
                part.unlink(missing_ok=True)
                check(file, actual)
            kept = self._cache.keep(part, file.digest) if self._cache.max_bytes else None
            place(kept or part, target, link=self._link and kept is not None)
            if kept is None:
                part.unlink(missing_ok=True)


def check(file: FileAnswer, actual: str) -> None:
    """Let a file pass that came as it was registered.

    Raises:
        IntegrityError: other bytes came.
    """
    if actual != file.digest:
        raise IntegrityError(
            f"file {file.path!r} came as {actual}, not as {file.digest}",
            code="blob_corrupt",
            hint="Try again; `mlreg version verify` tells whether the store or the way is broken.",
        )
