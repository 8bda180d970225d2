"""Delivering events while no worker is there to do it: an API process stands in.

That work is not done for want of a worker is told in an event; without this it would wait for the
very worker that it tells to be missing.

What always holds: it begins only after no worker that would deliver was there for a minute, and
ends with the next one that is; of several API processes one delivers at a time. Events go at least
once, in order for each webhook, as ever.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from mlreg.controller.store import chores as chore_rows
from mlreg.controller.store import members
from mlreg.registry.services.delivery import Round, deliver
from mlreg.registry.services.turns import turn
from mlreg.registry.store import webhooks

if TYPE_CHECKING:
    from mlreg.registry.services.dispatch import Dispatcher
    from mlreg.registry.store.database import Database

AFTER_SECONDS = 60.0
LOOK_SECONDS = 10.0
TURN_SECONDS = 20.0
"""How long others leave the delivery to the process that took its turn: longer than a round."""
CHORES, DELIVERY = "chore", "deliver"

log = logging.getLogger("mlreg.webhooks")


class StandIn:
    """Looks whether a worker is there, again and again, in a thread of its own."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, after_seconds: float = AFTER_SECONDS
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._after_seconds = after_seconds
        self._alone_since: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlreg-stand-in", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; a round that is under way is not waited for longer than a moment."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def look(self) -> int:
        """Look once, and deliver what is due if nobody else does; return how many events went."""
        with self._database.reading() as session:
            attended = any(CHORES in one["kinds"] for one in members.workers_there(session))
            wanted = not attended and webhooks.has_work(session)
        if attended:
            self._alone_since = None
            return 0
        self._alone_since = self._alone_since or time.monotonic()
        if not wanted or time.monotonic() - self._alone_since < self._after_seconds:
            return 0
        return self._deliver()

    def _deliver(self) -> int:
        with self._database.writing() as session:
            if not chore_rows.take_turn(session, DELIVERY, TURN_SECONDS):
                return 0
            now = chore_rows.real_now(session)
        sent = deliver(Round(self._database, self._dispatcher, now, self._stop))
        log.warning("no worker is there to deliver events: %d sent from here", sent)
        return sent

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            with turn(log, "no look for workers"):
                self.look()
