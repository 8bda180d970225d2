"""The supervisor of `mlreg up`: the server and the roles as children, each restarted when it dies.

What always holds: the database is started before the roles and stopped after them; a role that
ends is started again after a pause between 0.2 and 10 seconds; when the supervisor ends, however
that happens, its children are told by the kernel; after a clean stop nothing of it is left.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from mlreg.cli import processes
from mlreg.cli.children import Backoff, Child, cut
from mlreg.client.signal_names import name_of_signal
from mlreg.registry.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from mlreg.cli.postgres import EmbeddedPostgres

LOOK_SECONDS = 0.2
PROBE_SECONDS = 5.0
DEAF_PROBES = 3
HURRY_SECONDS = 1.0


class Supervisor:
    """Keeps a database server and its roles running until it is told to stop.

    Args:
        server: the embedded server, already started; None where PostgreSQL is somebody else's.
        children: the roles, not yet started.
        say: prints one line for the person at the terminal.
    """

    def __init__(
        self,
        server: EmbeddedPostgres | None,
        children: Sequence[Child],
        say: Callable[[str], None],
    ) -> None:
        self._watch = None if server is None else DatabaseWatch(server, say)
        self.children = children
        self._say = say
        self._stopping = threading.Event()
        self._hurry = False

    def take_charge(self) -> None:
        """Adopt what the roles may leave behind, and listen for the wish to stop.

        That is SIGTERM, Ctrl-C or a closed terminal; a second one is a wish to hurry.
        """
        processes.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start every role that does not run yet."""
        for child in self.children:
            if not child.is_running():
                child.start()

    def run(self) -> None:
        """Watch until somebody asks to stop."""
        looks = 0
        while not self._stopping.wait(LOOK_SECONDS):
            looks += 1
            self.look()
            if looks % 300 == 0:
                self._cut_logs()

    def look(self) -> None:
        """Look once at the database and at every role, and start again what has ended."""
        if self._watch is not None:
            self._watch.look()
        for child in self.children:
            self._revive(child)
        processes.reap_orphans(self._known())

    def stop(self) -> None:
        """End the roles, then the database, then whatever they left running."""
        for child in self.children:
            child.ask_to_stop()
        asked = time.monotonic()
        for child in self.children:
            seconds = HURRY_SECONDS if self._hurry else child.stop_seconds
            child.await_stop(asked + seconds)
        self._end_orphans()
        if self._watch is not None:
            self._watch.server.stop()
        processes.reap_orphans(())

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = self._stopping.is_set()
        self._stopping.set()

    def _revive(self, child: Child) -> None:
        if child.is_running():
            return
        now = time.monotonic()
        if child.process is not None:
            child.backoff.end(now)
            said = child.last_line()
            self._say(f"{child.name} ended ({_how(child.process.returncode)}){said and ': '}{said}")
            child.process = None
        if now >= child.backoff.not_before:
            child.start()
            self._say(f"{child.name} started again")

    def _known(self) -> set[int]:
        known = {child.process.pid for child in self.children if child.process is not None}
        if self._watch is not None and self._watch.server.pid is not None:
            known.add(self._watch.server.pid)
        return known

    def _end_orphans(self) -> None:
        """Kill what a role left behind; the kernel made it our child when its parent ended."""
        for _ in range(100):
            left = [pid for pid in processes.children() if pid not in self._known()]
            if not left:
                return
            for pid in left:
                processes.send(pid, signal.SIGKILL)
            processes.reap_orphans(self._known())
            time.sleep(0.02)

    def _cut_logs(self) -> None:
        for child in self.children:
            cut(child.log)
        if self._watch is not None:
            cut(self._watch.server.log)


class DatabaseWatch:
    """Starts the embedded server again when it has ended or gone deaf."""

    def __init__(self, server: EmbeddedPostgres, say: Callable[[str], None]) -> None:
        self.server = server
        self._say = say
        self._backoff = Backoff(started=time.monotonic())
        self._down = False
        self._unanswered = 0
        self._next_probe = 0.0

    def look(self) -> None:
        """Look once; a restart happens here and now, on the calling thread."""
        now = time.monotonic()
        if not self._down and self.server.is_running() and not self._is_deaf(now):
            return
        if not self._down:
            self._down = True
            self._backoff.end(now)
            ended = not self.server.is_running()
            words = f"ended: {self.server.last_words()}" if ended else "gives no answer"
            self._say(f"postgres {words}")
        if now >= self._backoff.not_before:
            self._restart()

    def _is_deaf(self, now: float) -> bool:
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_SECONDS
        self._unanswered = 0 if self.server.answers() else self._unanswered + 1
        return self._unanswered >= DEAF_PROBES

    def _restart(self) -> None:
        self._unanswered = 0
        self._backoff.start(time.monotonic())
        self.server.kill()
        try:
            self.server.start()
        except (UnavailableError, OSError) as error:
            self._backoff.end(time.monotonic())
            self._say(f"postgres: {error}; the next attempt is soon")
        else:
            self._down = False
            self._say("postgres started again")


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit {code}"
    return name_of_signal(-code)
