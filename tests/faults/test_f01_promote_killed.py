"""Fault 1: kill -9 at every failpoint of a promote, then retry with the same Idempotency-Key.

Before the commit nothing is left; after it the retry repeats the answer; either way there is one
revision, one event and one audit entry in the end.
"""

from __future__ import annotations

import signal

import pytest
from sqlmodel import select

from mlreg.registry.services import audit, deployments
from mlreg.registry.services.deployments import Change, plain_state
from mlreg.registry.store import tables
from mlreg.registry.store.database import Database
from mlreg.registry.store.failpoint import failpoint
from tests.faults.forks import run_forked
from tests.makers import PERSON, START, make_models

BEFORE_COMMIT = (
    "change.locked",
    "change.judged",
    "change.revised",
    "audit.recorded",
    "change.audited",
)
AFTER_COMMIT = ("change.committed",)


def promote(database_url):
    """Promote as the route does, over a connection of this process's own."""
    database = Database(database_url)
    change = Change("flights", "production", PERSON, "why", 0, "key-1")
    with database.writing() as session:
        state = deployments.promote(session, change, version=1, now=START)
    failpoint("change.committed")
    database.dispose()
    return plain_state(state)


def left_behind(database):
    with database.reading() as session:
        return [
            len(session.exec(select(table)).all())
            for table in (
                tables.Revision,
                tables.OutboxMessage,
                tables.AuditEntry,
                tables.IdempotencyKey,
            )
        ]


@pytest.mark.parametrize("name", [*BEFORE_COMMIT, *AFTER_COMMIT])
def test_a_killed_promote_is_done_once_or_not_at_all(database, database_url, name):
    make_models(database)
    assert run_forked(lambda: promote(database_url), name) == (-signal.SIGKILL, None)
    assert left_behind(database) == ([1, 1, 1, 1] if name in AFTER_COMMIT else [0, 0, 0, 0])

    first, second = (run_forked(lambda: promote(database_url)) for _ in range(2))
    assert first == second
    assert first[0] == 0
    assert (first[1]["revision"], first[1]["champion"]) == (1, 1)
    assert left_behind(database) == [1, 1, 1, 1]
    with database.reading() as session:
        assert audit.verify(session).first_bad is None
        deployment = session.exec(select(tables.Deployment)).one()
    assert (deployment.revision, deployment.champion) == (1, 1)
