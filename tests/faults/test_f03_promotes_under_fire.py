"""Fault 3: threads promote, roll back and read while PostgreSQL's backends are killed.

Every change is retried under its key until it is acknowledged or refused. No acknowledged change
is lost, each acknowledged revision is the expected one plus one, and a read that begins after an
acknowledgement never sees an older revision.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass

import psycopg
import pytest
from sqlmodel import select

from mlreg.registry.domain.errors import (
    DatabaseUnreachableError,
    RefusedError,
    StaleRevisionError,
)
from mlreg.registry.services import audit, deployments
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import tables
from tests.faults.workers import PATIENCE_SECONDS
from tests.makers import PERSON, START, make_models

SECONDS = 15
WRITERS, READERS = 12, 4
VERSIONS = 6
KILLS, CHANGES = 10, 50


@dataclass(frozen=True)
class Acknowledged:
    at: float
    expected: int
    revision: int
    champion: int


@dataclass(frozen=True)
class Seen:
    began: float
    revision: int


class Fire:
    """Sixteen threads against one deployment, and somebody who kills backends."""

    def __init__(self, database, admin_url, seconds=SECONDS, least_kills=KILLS + 1) -> None:
        self.database = database
        self.least_kills = least_kills
        self.admin_url = admin_url
        self.until = time.monotonic() + seconds
        self.acknowledged: list[Acknowledged] = []
        self.seen: list[Seen] = []
        self.kills = 0
        self.failures: list[BaseException] = []

    def burn(self, works):
        threads = [
            threading.Thread(target=self.guarded, args=(work, seed))
            for seed, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def burning(self):
        """Say whether to go on: for the time, and on a busy machine until enough has happened."""
        now = time.monotonic()
        enough = self.kills >= self.least_kills and len(self.acknowledged) > CHANGES
        return not self.failures and (
            now < self.until or (not enough and now < self.until + PATIENCE_SECONDS)
        )

    def guarded(self, work, seed):
        try:
            work(random.Random(seed))
        except BaseException as error:  # noqa: BLE001 - the test's own thread reads them
            self.failures.append(error)

    def write(self, dice):
        turn = 0
        while self.burning():
            turn += 1
            state = self.retried(self.read_state)
            key = f"{threading.get_ident()}-{turn}"
            change = Change("flights", "production", PERSON, "fire", state.revision, key)
            version = dice.randint(1, VERSIONS)
            back = dice.random() < 0.3

            def act(change=change, version=version, back=back):
                with self.database.writing() as session:
                    if back:
                        return deployments.rollback(session, change, now=START)
                    return deployments.promote(
                        session, change, version=version, force=True, now=START
                    )

            try:
                done = self.retried(act)
            except (StaleRevisionError, RefusedError):
                continue
            acknowledged = Acknowledged(
                time.monotonic(), state.revision, done.revision, done.champion
            )
            self.acknowledged.append(acknowledged)

    def read(self, _dice):
        while self.burning():
            began = time.monotonic()
            state = self.retried(self.read_state)
            self.seen.append(Seen(began, state.revision))
            time.sleep(0.002)

    def read_state(self):
        with self.database.reading() as session:
            return deployments.get_deployment(session, "flights", "production")

    def retried(self, act):
        """Repeat what the database's death left in doubt."""
        while True:
            try:
                return act()
            except DatabaseUnreachableError:
                time.sleep(0.01)
            except Exception as error:  # SQLAlchemy's names for "it died under me"
                state = getattr(getattr(error, "orig", None), "sqlstate", "")
                if state not in {"57P01", "57P02", "57P03", "55P03", "57014"}:
                    raise
                time.sleep(0.01)

    def kill(self, dice):
        """Terminate backends politely most of the time, and by SIGKILL three times in all."""
        hard = {round(SECONDS * part, 1) for part in (0.3, 0.6, 0.8)}
        began = time.monotonic()
        while self.burning():
            time.sleep(dice.uniform(0.05, 0.2))
            due = {moment for moment in hard if time.monotonic() - began >= moment}
            hard -= due
            try:
                with psycopg.connect(self.admin_url, autocommit=True) as connection:
                    self.kill_one(connection, hard=bool(due))
            except psycopg.OperationalError:
                continue

    def kill_one(self, connection, *, hard):
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'mlreg'"
            " AND datname = %s ORDER BY random() LIMIT 1",
            [self.database.engine.url.database],
        ).fetchone()
        if row is None:
            return
        self.kills += 1
        if hard:
            os.kill(row[0], signal.SIGKILL)
        else:
            connection.execute("SELECT pg_terminate_backend(%s)", row)


@pytest.mark.slow
def test_no_acknowledged_change_is_lost_or_seen_late(database, postgres, clones):
    clones.settle()
    durable(database, postgres)
    make_models(database, versions=VERSIONS)
    with database.writing() as session:
        first = Change("flights", "production", PERSON, "first")
        deployments.promote(session, first, version=1, now=START)
    fire = Fire(database, postgres.url().replace("+psycopg", ""))
    fire.burn([fire.write] * WRITERS + [fire.read] * READERS + [fire.kill])
    assert fire.failures == []
    assert fire.kills > KILLS
    assert len(fire.acknowledged) > CHANGES
    database.dispose()  # the last kill may have left a dead connection in the pool
    fire.retried(fire.read_state)  # and the server on its way back
    check(database, fire)


def durable(database, postgres):
    """Give this database what the tests' server spares: the WAL is written before the answer."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
        name = database.engine.url.database
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")
    database.dispose()


def check(database, fire):
    with database.reading() as session:
        revisions = session.exec(select(tables.Revision)).all()
        assert audit.verify(session).first_bad is None
        entries = session.exec(select(tables.AuditEntry)).all()
    by_number = {revision.number: revision for revision in revisions}
    assert sorted(by_number) == list(range(1, len(revisions) + 1))
    assert len(entries) == len(revisions)
    numbers = [item.revision for item in fire.acknowledged]
    assert len(set(numbers)) == len(numbers)
    assert set(by_number) == {1, *numbers}, "a change was made and never acknowledged"
    for item in fire.acknowledged:
        assert item.revision == item.expected + 1
        assert by_number[item.revision].champion == item.champion
    newest, position = 0, 0
    acknowledged = sorted(fire.acknowledged, key=lambda item: item.at)
    for seen in sorted(fire.seen, key=lambda item: item.began):
        while position < len(acknowledged) and acknowledged[position].at < seen.began:
            newest = max(newest, acknowledged[position].revision)
            position += 1
        assert seen.revision >= newest
