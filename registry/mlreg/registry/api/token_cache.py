"""Checked tokens in memory, so that a champion look-up costs no query.

What always holds: a token is remembered by its SHA-256, never as text; it is forgotten at its end,
and a revocation or a change of its grants is known within a second (a NOTIFY, else the poll).
While the database is away, what was checked before goes on counting: look-ups outlive an outage.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime

from starlette.concurrency import run_in_threadpool

from mlreg.registry.services.access import Bearer, check_bearer, note_use, reload_bearers
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database

CAPACITY = 10_000
NOTE_USE_SECONDS = 10.0


class TokenCache:
    """What this process knows of valid tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bearers: dict[bytes, Bearer] = {}
        self._used: set[str] = set()
        self._noted_at = 0.0

    def find(self, bearer: bytes) -> Bearer | None:
        """Return who bears a token that was checked before, or None."""
        found = self._bearers.get(hashlib.sha256(bearer).digest())
        if found is None:
            return None
        if found.expires_at is not None and found.expires_at.timestamp() <= time.time():
            return None
        self._used.add(found.token_id)
        return found

    async def check(self, bearer: bytes) -> Bearer:
        """Ask the database who bears this token.

        Raises:
            UnauthenticatedError: nobody does.
        """
        return await run_in_threadpool(self._check, bearer)

    def _check(self, bearer: bytes) -> Bearer:
        with self._database.reading() as session:
            found = check_bearer(session, bearer.decode("latin-1"), SystemClock().now())
        if len(self._bearers) >= CAPACITY:
            self._bearers.clear()
        self._bearers[hashlib.sha256(bearer).digest()] = found
        self._used.add(found.token_id)
        return found

    def refresh(self) -> None:
        """Read tokens and grants again; write down, now and then, which were used."""
        known = dict(self._bearers)
        if known:
            with self._database.reading() as session:
                living = reload_bearers(session, {bearer.token_id for bearer in known.values()})
            now = SystemClock().now()
            for key, bearer in known.items():
                present = living.get(bearer.token_id)
                if present is None or is_past(present, now):
                    self._bearers.pop(key, None)
                elif present != bearer:
                    self._bearers[key] = present
        if self._used and time.monotonic() - self._noted_at > NOTE_USE_SECONDS:
            self._note_use()

    def _note_use(self) -> None:
        used, self._used = self._used, set()
        with self._database.writing() as session:
            note_use(session, used, SystemClock().now())
        self._noted_at = time.monotonic()


def is_past(bearer: Bearer, now: datetime) -> bool:
    """Whether a token has come to its end."""
    return bearer.expires_at is not None and bearer.expires_at <= now
