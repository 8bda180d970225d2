"""The controller's heartbeat: an address that is called each minute while it ticks.

The other end (healthchecks.io and what is like it) raises the alarm when the calls stop: also when
this whole machine is gone, of which no process on it can tell.

What always holds: https only, the address is a secret and in no log; a call never holds up a tick;
at most one is under way.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.domain.targets import Target
from mlreg.registry.services.posting import Postman

EVERY_SECONDS = 60.0

log = logging.getLogger("mlreg.controller")


@dataclass(slots=True)
class Heartbeat:
    """Calls a target, not more often than each minute."""

    postman: Postman
    target: Target
    every_seconds: float = EVERY_SECONDS
    _last: float = field(default=float("-inf"), init=False)
    _busy: threading.Lock = field(default_factory=threading.Lock, init=False)

    def beat(self) -> None:
        """Call it, in a thread of its own, if it is time."""
        now = time.monotonic()
        if now - self._last < self.every_seconds or not self._busy.acquire(blocking=False):
            return
        self._last = now
        threading.Thread(target=self._call, name="mlreg-heartbeat", daemon=True).start()

    def _call(self) -> None:
        try:
            status = self.postman.post(self.target, b"", {})
            if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own
                log.warning("the heartbeat at %s: it answered %d", self.target.shown, status)
        except RegistryError as error:
            log.warning("no heartbeat: %s", error)
        finally:
            self._busy.release()
