"""Fault 2: kill -9 at every failpoint of a rollback, an approval, an archiving and a delete.

As fault 1: before the commit nothing is left, after it the repetition changes nothing; either way
there is one change and one audit entry of it in the end.
"""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest
from sqlmodel import select

from mlreg.client.wire.base import Answer
from mlreg.registry.api.idempotency import Once
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services import approvals, audit, deployments, retirement
from mlreg.registry.services.approvals import Opinion
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.idempotency import KeyedRequest
from mlreg.registry.store import tables
from mlreg.registry.store.database import Database
from mlreg.registry.store.failpoint import failpoint
from tests.faults.forks import run_forked
from tests.makers import PERSON, START, make_models

BEA = Actor("bea", "person", "approver")
CHANGE = Change("flights", "production", PERSON, "why")


class Said(Answer):
    """What an approval is answered with here."""

    number: int


def roll_back(session):
    change = replace(CHANGE, idempotency_key="key-1")
    return deployments.rollback(session, change, now=START).revision


def approve(session):
    def act():
        change = replace(CHANGE, actor=BEA)
        given = approvals.give(session, change, Opinion(3, "approved"), now=START)
        return Said(number=given.approval.id)

    once = Once(KeyedRequest(BEA.name, "key-1", "sha256:of-it"))
    return json.loads(once.run(session, START, act).body)


def archive(session):
    found = retirement.archive_version(session, "flights", 3, reason="old", actor=PERSON, now=START)
    return found.archived_reason


def delete(session):
    found = retirement.delete_version(session, "flights", 3, reason="old", actor=PERSON, now=START)
    return found.deleted_reason


CHANGED = ("change.locked", "change.judged", "change.revised", "audit.recorded")
APPROVED = ("approval.judged", "approval.written", "audit.recorded")
RETIRED = ("retirement.written", "audit.recorded")
CASES = [
    *((roll_back, "deployment.rollback", name) for name in (*CHANGED, "committed")),
    *((approve, "approval.given", name) for name in (*APPROVED, "committed")),
    *((archive, "version.archive", name) for name in (*RETIRED, "committed")),
    *((delete, "version.delete", name) for name in (*RETIRED, "committed")),
]


def once_through(database_url, act):
    """Act as a route does, over a connection of this process's own."""
    database = Database(database_url)
    with database.writing() as session:
        answer = act(session)
    failpoint("committed")
    database.dispose()
    return answer


def left_behind(database, action):
    """Return how many entries there are of an action, and what it changed."""
    with database.reading() as session:
        entries = session.exec(
            select(tables.AuditEntry).where(tables.AuditEntry.action == action)
        ).all()
        version = session.exec(select(tables.Version).where(tables.Version.number == 3)).one()
        changed = {
            "deployment.rollback": len(session.exec(select(tables.Revision)).all()) - 2,
            "approval.given": len(session.exec(select(tables.Approval)).all()),
            "version.archive": int(version.archived_at is not None),
            "version.delete": int(version.deleted_at is not None),
        }
        assert audit.verify(session).first_bad is None
    return [len(entries), changed[action]]


@pytest.mark.parametrize(("act", "action", "name"), CASES)
def test_a_killed_change_is_done_once_or_not_at_all(database, database_url, act, action, name):
    make_models(database)
    for version in (1, 2):
        with database.writing() as session:
            deployments.promote(session, CHANGE, version=version, force=True, now=START)
    killed = run_forked(lambda: once_through(database_url, act), name)
    assert killed == (-signal.SIGKILL, None)
    assert left_behind(database, action) == ([1, 1] if name == "committed" else [0, 0])

    first, second = (run_forked(lambda: once_through(database_url, act)) for _ in range(2))
    assert first == second
    assert first[0] == 0
    assert left_behind(database, action) == [1, 1]
