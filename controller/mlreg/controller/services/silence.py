"""A dead man's switch: every API process looks whether the controller still ticks.

Whoever watches models is watched here, by a process that has nothing else to do with it. A silence
is logged, shown (`/readyz`, `mlreg status`), and told straight to webhooks and targets, past the
outbox: what empties that is what is silent.

What always holds: of one silence one process tells, whose turn is renewed before each sending, for
a round over slow webhooks takes longer than a turn; and once somebody has been told nobody tells
again; if nobody could be told, it is tried again after a minute, and a process that is killed on
the way leaves it to the others. A controller that never ticked is not missed, and none is before
this process has looked on for as long as a silence lasts: after a start, or after a sleep of the
whole machine, it has its time. An API whose controller is silent stays ready: it serves.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from mlreg.controller.store import silence as rows
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.events import SILENT, Event
from mlreg.registry.services.announcing import announce
from mlreg.registry.services.outbox import tell
from mlreg.registry.services.turns import turn
from mlreg.registry.store.failpoint import failpoint

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.store.silence import LastTick
    from mlreg.registry.services.dispatch import Dispatcher
    from mlreg.registry.store.database import Database

LOOK_SECONDS = 5.0
ALARM_SECONDS = 60.0
SLEEP = timedelta(seconds=60)
TICKING, UNKNOWN = "ticking", "unknown"

log = logging.getLogger("mlreg.controller")


@dataclass(frozen=True, slots=True)
class SilenceSettings:
    """How long without a tick is a silence (0: none ever is), and how often to look."""

    after_seconds: float = 120.0
    look_seconds: float = LOOK_SECONDS


class SilenceWatch:
    """Looks for a silence, again and again, in a thread of its own."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, settings: SilenceSettings
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._settings = settings
        self._since: datetime | None = None
        self._looked: datetime | None = None
        self._state = UNKNOWN
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlreg-silence", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._settings.after_seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """End; a look that is under way is not waited for longer than a moment."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def state(self) -> str:
        """Return `ticking`, `silent since …`, or `unknown`, as of the last look."""
        return self._state

    def look(self) -> None:
        """Look once, and tell of a silence that nobody was told of."""
        with self._database.reading() as session:
            last = rows.last_tick(session)
        heard = self._heard(last)
        if last.at is None or heard is None:
            self._state = UNKNOWN
            return
        if (last.now - heard).total_seconds() < self._settings.after_seconds:
            self._state = TICKING if heard == last.at else UNKNOWN
            return
        was, self._state = self._state, f"silent since {last.at.isoformat(timespec='seconds')}"
        if self._state != was:
            log.error("THE CONTROLLER IS %s", self._state.upper())
        if last.alarmed_at is None:
            self._tell(last, last.at)

    def _heard(self, last: LastTick) -> datetime | None:
        """Return from when silence counts: the last tick, or since this process looks on."""
        slept = self._looked is None or last.now - self._looked > SLEEP
        self._since = last.now if slept or self._since is None else self._since
        self._looked = last.now
        return None if last.at is None else max(last.at, self._since)

    def _tell(self, last: LastTick, ticked_at: datetime) -> None:
        with self._database.writing() as session:
            until = rows.take_alarm(session, ticked_at, ALARM_SECONDS)
        if until is None:
            return
        body = {"model": None, "since": ticked_at.isoformat(), "actor": "api"}
        event = Event(
            seq=0,
            key=f"{last.incarnation}-silent-{int(ticked_at.timestamp())}",
            topic=SILENT,
            body=body,
            at=last.now,
            source=f"mlreg/{last.incarnation}",
        )
        failpoint("silence.taken")
        mine = _Turn(self._database, ticked_at, until)
        if not announce(self._database, self._dispatcher, event, last.now, mine.hold):
            return
        with self._database.writing() as session:
            if rows.note_alarm(session, ticked_at, mine.until):
                tell(session, SILENT, body, now=last.now)

    def _run(self) -> None:
        while not self._stop.wait(self._settings.look_seconds):
            with turn(log, "no look at the controller"):
                self.look()


class _Turn:
    """The turn to tell of a silence until then, held by threads that send."""

    def __init__(self, database: Database, ticked_at: datetime, until: datetime) -> None:
        self._database = database
        self._ticked_at = ticked_at
        self.until = until
        self._lock = threading.Lock()

    def hold(self) -> bool:
        """Take the turn for longer; False: others tell, or the controller ticks again.

        Without a database it is held: better told twice than not at all.
        """
        with self._lock:
            try:
                with self._database.writing() as session:
                    until = rows.hold_alarm(session, self._ticked_at, self.until, ALARM_SECONDS)
            except (RegistryError, SQLAlchemyError):
                return True
            if until is not None:
                self.until = until
            return until is not None
