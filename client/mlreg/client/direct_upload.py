"""One large file straight into the store: parts in parallel, hashed in the same pass."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from mlreg.client.errors import UnreachableError
from mlreg.client.store_connection import StoreConnections, UrlExpiredError
from mlreg.client.transport import path
from mlreg.client.wire.uploads import (
    PartForm,
    PartsAnswer,
    UploadAnswer,
    UrlsAnswer,
    UrlsRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from mlreg.client.transport import Transport
    from mlreg.client.wire.uploads import PartAnswer

THREADS = 4
URLS_AT_ONCE = 16


class StoreOutOfReachError(UnreachableError):
    """The store took not one part: it cannot be reached from this machine."""


class DirectUpload:
    """Sends the parts of one upload."""

    def __init__(self, transport: Transport, upload: UploadAnswer) -> None:
        self._transport = transport
        self._upload = upload
        self._store = StoreConnections()
        self._urls: dict[int, str] = {}
        self._lock = threading.Lock()
        self._last = -(-(upload.size or 0) // upload.part_bytes)

    def send(self, file: Path, on_bytes: Callable[[int], None]) -> tuple[str, list[PartForm]]:
        """Send every part that is not there yet; return the file's digest and all the parts.

        Raises:
            StoreOutOfReachError: the store took no part at all.
            UnreachableError: it did not take one of them; those that it took stay.
        """
        there = self._there()
        sha256 = hashlib.sha256()
        futures: list[Future[PartForm]] = []
        room = threading.Semaphore(THREADS + 1)  # so many parts are in memory at a time
        with (
            closing(self._store),
            ThreadPoolExecutor(THREADS, "upload") as pool,
            file.open("rb", buffering=0) as content,
        ):
            number = 0
            while True:
                room.acquire()
                piece = _read(content.fileno(), self._upload.part_bytes)
                if not piece or any(f.done() and f.exception() for f in futures):
                    break
                number += 1
                self._url(number)  # asked for here, not in a thread with a connection of its own
                future = pool.submit(self._part, number, piece, there.get(number))
                future.add_done_callback(lambda _: room.release())
                futures.append(future)
                sha256.update(piece)
                on_bytes(len(piece))
            parts = self._parts(futures)
        return "sha256:" + sha256.hexdigest(), parts

    def _parts(self, futures: Sequence[Future[PartForm]]) -> list[PartForm]:
        try:
            return [future.result() for future in futures]
        except UnreachableError as error:
            if any(future.exception() is None for future in futures):
                raise
            raise StoreOutOfReachError(str(error), code=error.code, hint=error.hint) from error

    def _there(self) -> Mapping[int, PartAnswer]:
        answer = self._transport.get(path("uploads", self._upload.id, "parts"), PartsAnswer)
        return {part.number: part for part in answer.parts}

    def _part(self, number: int, piece: bytes, there: PartAnswer | None) -> PartForm:
        if there is None or not _is_same(piece, there):
            return PartForm(number=number, etag=self._put(number, piece))
        return PartForm(number=number, etag=there.etag)

    def _put(self, number: int, piece: bytes) -> str:
        try:
            return self._store.put(self._url(number), piece)
        except UrlExpiredError:
            self._urls.pop(number, None)
            try:
                return self._store.put(self._url(number), piece)
            finally:
                self._transport.close()  # this thread's own

    def _url(self, number: int) -> str:
        with self._lock:
            if number not in self._urls:
                numbers = list(range(number, min(number + URLS_AT_ONCE, self._last + 1)))
                place = path("uploads", self._upload.id, "urls")
                answer = self._transport.post(
                    place, UrlsRequest(numbers=numbers or [number]), UrlsAnswer
                )
                self._urls.update(zip(numbers or [number], answer.urls, strict=True))
            return self._urls[number]


def _read(descriptor: int, amount: int) -> bytes:
    """Return `amount` bytes, fewer only at the end of the file."""
    pieces, left = [], amount
    while left and (piece := os.read(descriptor, left)):
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _is_same(piece: bytes, part: PartAnswer) -> bool:
    """Say whether a part in the store is this one: its entity tag is the MD5 of its bytes."""
    md5 = hashlib.md5(piece, usedforsecurity=False).hexdigest()
    return part.size == len(piece) and part.etag.strip('"') == md5
