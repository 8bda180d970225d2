"""One large file by ranges, in parallel, into a file that another process can go on with.

Beside the file lies `<file>.done`: one byte per range, 1 when it is written. The whole is hashed as
its beginning grows, so a finished download needs no second pass.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mlreg.client.store_connection import StoreConnections, UrlExpiredError
from mlreg.client.wire.uploads import LocationAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlreg.client.transport import Transport

THREADS = 4
RANGE_BYTES = 8 * 2**20


class RangedDownload:
    """Receives one file, from the store itself where the server says so."""

    def __init__(self, transport: Transport, place: str, size: int) -> None:
        self._transport = transport
        self._place = place
        self._size = size
        self._lock = threading.Lock()
        self._store = StoreConnections()
        self._url = ""
        self._buffers = threading.local()

    def receive(self, part: Path, on_bytes: Callable[[int], None]) -> str:
        """Fill a file with the ranges that it lacks and return the digest of all its bytes.

        Raises:
            IntegrityError: the server knows that its bytes are wrong.
            UnreachableError: a range did not come; those that did stay.
        """
        self._url, headers = self._locate()
        self._store = StoreConnections(headers)
        done = part.with_name(part.name + ".done")
        sha256 = hashlib.sha256()
        flags = os.O_RDWR | os.O_CREAT
        file, marks = os.open(part, flags, 0o600), os.open(done, flags, 0o600)
        pool = ThreadPoolExecutor(THREADS, "download")
        try:
            os.ftruncate(file, self._size)
            there = os.pread(marks, self._count, 0).ljust(self._count, b"\0")
            numbers = range(self._count)
            for number in pool.map(lambda n: self._range(file, marks, n, there[n]), numbers):
                piece = os.pread(file, RANGE_BYTES, number * RANGE_BYTES)
                sha256.update(piece)
                on_bytes(len(piece))
        finally:
            pool.shutdown(cancel_futures=True)
            self._store.close()
            os.close(file)
            os.close(marks)
        done.unlink(missing_ok=True)
        return "sha256:" + sha256.hexdigest()

    @property
    def _count(self) -> int:
        return -(-self._size // RANGE_BYTES)

    def _range(self, file: int, marks: int, number: int, there: int) -> int:
        """Write one range, unless it is there, and return its number."""
        if not there:
            start = number * RANGE_BYTES
            into = self._buffer()[: min(RANGE_BYTES, self._size - start)]
            self._fill(start, into)
            os.pwrite(file, into, start)
            os.pwrite(marks, b"\1", number)
        return number

    def _fill(self, start: int, into: memoryview) -> None:
        url = self._url
        try:
            self._store.get_range(url, start, into)
        except UrlExpiredError:
            self._store.get_range(self._renewed(url), start, into)

    def _renewed(self, old: str) -> str:
        """Return another URL than the expired one; the first thread that asks gets it for all."""
        with self._lock:
            if self._url == old:
                try:
                    self._url, _ = self._locate()
                finally:
                    self._transport.close()  # this thread's own
            return self._url

    def _locate(self) -> tuple[str, Mapping[str, str]]:
        """Return where to read, and the headers that this needs: at the store, or at the server."""
        url = self._transport.get(f"{self._place}/location", LocationAnswer).url
        return (url, {}) if url else self._transport.authorised(self._place)

    def _buffer(self) -> memoryview:
        buffer: bytearray | None = getattr(self._buffers, "own", None)
        if buffer is None:
            buffer = self._buffers.own = bytearray(RANGE_BYTES)
        return memoryview(buffer)
