"""Deployments and tokens in memory, kept fresh by NOTIFY and by a poll of one second.

What always holds: a deployment in the cache never goes back to a lower revision within one
incarnation; a change by this process is seen by its next look-up (the route says so after its
commit); a change by another is seen within a second; while PostgreSQL is away, the last known
champions go on being served, and `age_seconds` grows.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from mlreg.client.wire.deployments import DeploymentAnswer
from mlreg.registry.api.token_cache import TokenCache
from mlreg.registry.domain.errors import DatabaseUnreachableError
from mlreg.registry.services.throttle import Throttle
from mlreg.registry.services.turns import turn
from mlreg.registry.store.checkpoints import find_newest_note
from mlreg.registry.store.database import Database
from mlreg.registry.store.deployments import (
    DeploymentState,
    find_state,
    list_present_revisions,
    load_states,
)
from mlreg.registry.store.notifications import DEPLOYMENT_CHANNEL, TOKEN_CHANNEL, listen

LOG = logging.getLogger(__name__)
POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.25  # a burst of changes is read as one; others may wait for a second


@dataclass(frozen=True, slots=True)
class CachedDeployment:
    """One deployment as it is answered: its tag and its bytes, made once per revision."""

    state: DeploymentState
    etag: bytes
    body: bytes


class DeploymentCache:
    """What this process knows of deployments, by (model, environment)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str], CachedDeployment] = {}
        self._taking = threading.Lock()

    def find(self, model: str, environment: str) -> CachedDeployment | None:
        """Return a deployment as last seen, or None when it was never seen."""
        return self._known.get((model, environment))

    def find_in_database(self, model: str, environment: str) -> CachedDeployment | None:
        """Ask the database for a deployment, and remember it."""
        with self._database.reading() as session:
            state = find_state(session, model, environment)
        return self.take(state) if state else None

    def take(self, state: DeploymentState) -> CachedDeployment:
        """Remember a state, unless a newer one is known; return what is known then."""
        key = (state.model, state.environment)
        with self._taking:
            known = self._known.get(key)
            if known is None or _is_newer(state, known.state):
                known = CachedDeployment(state, state.etag.encode(), _body_of(state))
                self._known[key] = known
        return known

    def refresh(self) -> None:
        """Read every deployment that has changed."""
        with self._database.reading() as session:
            incarnation, revisions = list_present_revisions(session)
            known = {
                item.state.deployment_id: item.state.revision
                for item in self._known.values()
                if item.state.incarnation == incarnation
            }
            changed = {number for number in revisions if known.get(number) != revisions[number]}
            for state in load_states(session, changed) if changed else ():
                self.take(state)


class Caches:
    """Both caches and the audit log's newest checkpoint, and the thread that keeps them fresh."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.throttle = Throttle()
        self.tokens = TokenCache(database)
        self.deployments = DeploymentCache(database)
        self.checkpoint: str | None = None
        self._fresh_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mlreg-caches", daemon=True)

    def start(self) -> None:
        """Begin to keep fresh."""
        self._thread.start()

    def stop(self) -> None:
        """End within the poll's second."""
        self._stop.set()
        self._thread.join(timeout=2 * POLL_SECONDS + 1)
        with suppress(DatabaseUnreachableError, DBAPIError):
            self.throttle.write_down(self._database, at_once=True)

    def age_seconds(self) -> float:
        """How long ago the caches were last known to be as the database."""
        return time.monotonic() - self._fresh_at

    def refresh(self) -> None:
        """Read what has changed, now."""
        self.deployments.refresh()
        self.tokens.refresh()
        with self._database.reading() as session:
            self.checkpoint = find_newest_note(session)
        self._fresh_at = time.monotonic()
        self.throttle.write_down(self._database)

    def _watch(self) -> None:
        channels = (DEPLOYMENT_CHANNEL, TOKEN_CHANNEL)
        for occasion in listen(
            self._database.url, channels, poll_seconds=POLL_SECONDS, stop=self._stop
        ):
            if occasion == "unreachable":
                continue
            with turn(LOG, "the caches grow old"):  # a dead thread would honour revoked tokens
                self.refresh()
                self._stop.wait(PAUSE_SECONDS)


def _is_newer(state: DeploymentState, known: DeploymentState) -> bool:
    return state.incarnation != known.incarnation or state.revision > known.revision


def _body_of(state: DeploymentState) -> bytes:
    return DeploymentAnswer.model_validate(state, from_attributes=True).model_dump_json().encode()
