"""A controller or a worker says that it is there, again and again, in a thread of its own.

What always holds: saying so is never more than a hint for people and for what waits for a worker:
no lease and no effect rests on it. Who ends as asked says good-bye; who is killed is shown as gone
after three beats, and forgotten after an hour.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, Self

from mlreg.controller.store import members as rows
from mlreg.registry.services.turns import turn

if TYPE_CHECKING:
    from types import TracebackType

    from mlreg.registry.store.database import Database

MemberRole = Literal["controller", "worker"]

BEAT_SECONDS = 5.0
BEATS_MISSED = 3
REMEMBERED_SECONDS = 3_600.0
MAX_DECLINED = 1_000

log = logging.getLogger("mlreg.members")


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who is there.

    Attributes:
        name: on its jobs or its leadership too; no two processes have the same.
        labels: of a worker: it takes jobs that ask for one of them.
        kinds: of a worker: the jobs that it can do.
    """

    name: str
    role: MemberRole
    labels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The machine: the name up to its first colon."""
        return self.name.partition(":")[0]


class Presence:
    """Says who is there while its block runs."""

    def __init__(
        self, database: Database, who: Introduction, beat_seconds: float = BEAT_SECONDS
    ) -> None:
        self._database = database
        self._who = who
        self._seconds = beat_seconds
        self._declined: dict[int, None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    @property
    def declined(self) -> tuple[int, ...]:
        """The jobs that this member gave back as none of its own, oldest first."""
        with self._lock:
            return tuple(self._declined)

    def decline(self, job_id: int) -> None:
        """Say from now on that a job is none of this member's."""
        with self._lock:
            self._declined[job_id] = None
            if len(self._declined) > MAX_DECLINED:
                del self._declined[next(iter(self._declined))]
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            self._say()
            self._wake.wait(self._seconds)
        self._leave()

    def _say(self) -> None:
        who = self._who
        values = {
            "name": who.name,
            "role": who.role,
            "host": who.host,
            "version": version("mlreg"),
            "labels": json.dumps(sorted(who.labels)),
            "kinds": json.dumps(sorted(who.kinds)),
            "declined": json.dumps(self.declined),
            "seconds": BEATS_MISSED * self._seconds,
        }
        with (
            turn(log, f"not said that {who.name} is there"),
            self._database.writing() as session,
        ):
            rows.say(session, values)
            rows.forget(session, REMEMBERED_SECONDS)

    def _leave(self) -> None:
        with turn(log, "left without a word"), self._database.writing() as session:
            rows.leave(session, self._who.name)
