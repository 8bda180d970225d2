"""Verifying what clients wrote into the store, beside the requests: two threads per API process.

What always holds: it is only asked here, never remembered: an upload that is `uploaded` is taken up
again by whoever looks at it next, so a killed server loses nothing.
"""

from __future__ import annotations

import logging
import queue
import threading

from mlreg.registry.services.turns import turn
from mlreg.registry.services.upload_sessions import UploadRoom
from mlreg.registry.services.upload_verifying import verify_upload

LOG = logging.getLogger(__name__)
THREADS = 2
STOP_SECONDS = 2.0


class Verifier:
    """Verifies uploads in the background, each at most once at a time here."""

    def __init__(self, room: UploadRoom) -> None:
        self._room = room
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._pending: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def ask(self, upload: str) -> None:
        """Have an upload verified soon."""
        with self._lock:
            if upload in self._pending:
                return
            self._pending.add(upload)
            if len(self._threads) < THREADS:
                self._threads.append(self._thread())
        self._asked.put(upload)

    def stop(self) -> None:
        """Take nothing up any more; what is at work may be cut off by the end of the process."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="verifier", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while (upload := self._asked.get()) is not None:
            with turn(LOG, f"upload {upload} is not verified yet"):
                verify_upload(self._room, upload)
            with self._lock:
                self._pending.discard(upload)
