"""Fault 28: uploads, registrations, deletes and collections interleaved, with kills in between.

No blob that anybody refers to ever lacks its bytes; what nobody needs is gone after its grace.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import signal
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text
from sqlmodel import select

from mlreg.registry.artifacts.errors import BlobCorruptError
from mlreg.registry.artifacts.opening import open_upkeep
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.domain import garbage as rules
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import NotFoundError, RegistryError
from mlreg.registry.domain.garbage import Retention
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.domain.provenance import REQUIRED, Provenance
from mlreg.registry.domain.retirement import PurgedError
from mlreg.registry.services import deployments, garbage, retirement, uploads
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.registration import (
    BlobsMissingError,
    Registration,
    register_version,
)
from mlreg.registry.services.uploads import BlobFile
from mlreg.registry.store import blobs, tables
from mlreg.registry.store import garbage as rows
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database
from tests.faults.forks import run_forked
from tests.faults.workers import await_true
from tests.makers import PERSON, make_model

pytestmark = [pytest.mark.slow]
CONTENTS = st.integers(0, 5)
FAILPOINTS = [
    "",
    "garbage.condemned",
    "garbage.deleting",
    "garbage.removed",
    "garbage.dropped",
    "garbage.purged",
]
OTHERS = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
      AND xact_start IS NOT NULL
""")
REGISTERED = ("verified", "condemned")  # what was condemned is spared within a minute
NONE_KEPT = Retention(timedelta(0), 2)


def content_of(number, salt=""):
    return f"content {number} {salt}".encode()


def file_of(content):
    return ManifestFile(path="model.bin", size=len(content), digest=digest_of(content))


def put(store, content):
    store.put(digest_of(content), io.BytesIO(content), len(content))


def keep(database, store, content, now):
    with database.writing() as session:
        blob = BlobFile(digest_of(content), len(content))
        uploads.keep_blob(session, store, blob, now=now)


def register(database, content, now, model="flights"):
    registration = Registration(
        model=model,
        manifest=Manifest.of([file_of(content)]),
        provenance=Provenance(),
        allow_missing=frozenset(REQUIRED),
    )
    with database.writing() as session:
        return register_version(session, registration, actor=PERSON, now=now).number


def check_all_there(database, store, states=("verified",)):
    """Every blob that anybody refers to is verified, and has its bytes."""
    with database.reading() as session:
        needed = session.exec(
            select(tables.Blob.digest, tables.Blob.state).where(
                tables.Blob.digest.in_(select(tables.BlobReference.digest))
            )
        ).all()
    for digest, state in needed:
        assert state in states, digest
        assert digest_of(read_blob(store, digest)) == digest


def nobody_is_at_it(database):
    """Whether no transaction is open: the server finds out a little later that a client is dead."""
    with database.reading() as session:
        return session.execute(OTHERS).scalar_one() == 0


class Collection(RuleBasedStateMachine):
    """One step after another; kills are real (a forked process and SIGKILL)."""

    url = ""
    store = None
    examples = itertools.count(1)

    def __init__(self):
        super().__init__()
        self.database = Database(self.url)
        self.example = next(self.examples)
        self.model = f"flights-{self.example}"
        self.now = SystemClock().now()
        self.half_done = set()
        with self.database.writing() as session:
            make_model(session, self.model)

    def teardown(self):
        """What nobody needs is gone in the end, and nothing else."""
        for days in (8, 2, 0):
            self.now += timedelta(days=days)
            self.collect("")
        with self.database.reading() as session:
            needed = set(session.exec(select(tables.BlobReference.digest)).all())
            known = set(session.exec(select(tables.Blob.digest)).all())
        there = {stored.digest for stored in open_upkeep(self.store).list_blobs()}
        assert there == needed == known
        self.database.dispose()

    @rule(number=CONTENTS)
    def upload(self, number):
        put(self.store, self.content(number))
        keep(self.database, self.store, self.content(number), self.now)

    def content(self, number):
        return content_of(number, self.example)

    @rule(number=CONTENTS)
    def begin_upload(self, number):
        """The bytes are in the store; the server has not come to write the row."""
        put(self.store, self.content(number))
        self.half_done.add(number)

    @precondition(lambda self: self.half_done)
    @rule(data=st.data())
    def end_upload(self, data):
        number = data.draw(st.sampled_from(sorted(self.half_done)))
        self.half_done.discard(number)
        try:
            keep(self.database, self.store, self.content(number), self.now)
        except uploads.BlobGoneError:
            self.upload(number)

    @rule(number=CONTENTS)
    def register(self, number):
        with suppress(BlobsMissingError):
            register(self.database, self.content(number), self.now, self.model)

    @rule(number=st.integers(1, 5))
    def delete(self, number):
        self.retire(retirement.delete_version, number)

    @rule(number=st.integers(1, 5))
    def restore(self, number):
        self.retire(retirement.restore_version, number)

    def retire(self, verb, number):
        with suppress(PurgedError, NotFoundError), self.database.writing() as session:
            verb(session, self.model, number, reason="why", actor=PERSON, now=self.now)

    @rule(days=st.sampled_from([0.1, 1.1, 7.1, 31.0]))
    def wait(self, days):
        self.now += timedelta(days=days)

    @rule(failpoint=st.sampled_from(FAILPOINTS))
    def collect(self, failpoint):
        if not failpoint:
            garbage.collect(self.database, self.store, self.now, retention=NONE_KEPT)
            return

        def killed():
            database = Database(self.url)
            garbage.collect(database, self.store, self.now, retention=NONE_KEPT)
            database.dispose()

        code, _ = run_forked(killed, failpoint)
        assert code in {0, -signal.SIGKILL}
        await_true(lambda: nobody_is_at_it(self.database))  # what the dead had locked is free

    @invariant()
    def whole(self):
        check_all_there(self.database, self.store, REGISTERED)


def run_machine(database_url, store, examples, steps):
    machine = type("Machine", (Collection,), {"url": database_url, "store": store})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


def test_whatever_the_order_no_needed_blob_is_missing(database_url, store):
    run_machine(database_url, store, 15, 20)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_whatever_the_order_for_long(database_url, store):
    run_machine(database_url, store, 400, 50)


class Race:
    """Threads that upload, register and delete, and threads that collect with no grace at all."""

    def __init__(self, database, store):
        self.database, self.store, self.clock = database, store, SystemClock()
        self.stop, self.wrong, self.done = threading.Event(), [], []

    def bring(self, chance):
        content = content_of(chance.randrange(4))
        with suppress(BlobsMissingError, uploads.BlobGoneError, BlobCorruptError):
            put(self.store, content)
            keep(self.database, self.store, content, self.clock.now())
            number = register(self.database, content, self.clock.now())
            self.done.append(number)
            if chance.random() < 0.7:
                why = {"reason": "x", "actor": PERSON, "now": self.clock.now()}
                with self.database.writing() as session:
                    retirement.delete_version(session, "flights", number, **why)

    def sweep(self, _chance):
        garbage.collect(self.database, self.store, self.clock.now(), retention=NONE_KEPT)

    def repeat(self, act, seed):
        chance = random.Random(seed)
        try:
            while not self.stop.is_set():
                act(chance)
        except BaseException as error:
            self.wrong.append(error)
            raise

    def run(self, seconds):
        acts = [self.bring] * 3 + [self.sweep] * 2
        threads = [
            threading.Thread(target=self.repeat, args=(act, seed)) for seed, act in enumerate(acts)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stop.set()
        for thread in threads:
            thread.join()


def race(database_url, store, seconds, monkeypatch):
    for name in ("GRACE", "REPRIEVE", "RECOVERABLE"):
        monkeypatch.setattr(garbage, name, timedelta(0))
    database = Database(database_url)
    with database.writing() as session:
        make_model(session)
    found = Race(database, store)
    found.run(seconds)
    assert not found.wrong, found.wrong[:3]
    assert len(found.done) > 5
    check_all_there(database, store, REGISTERED)
    garbage.spare(database)
    check_all_there(database, store)
    database.dispose()


def test_racing_threads_lose_nothing(database_url, store, monkeypatch):
    race(database_url, store, 4, monkeypatch)


@pytest.mark.nightly
def test_racing_threads_lose_nothing_for_long(database_url, store, monkeypatch):
    race(database_url, store, 60, monkeypatch)


def test_a_blob_that_comes_back_while_others_are_removed_stays(database, store):
    now = SystemClock().now()
    contents = sorted((content_of(number) for number in range(2)), key=digest_of)
    for content in contents:
        put(store, content)
        keep(database, store, content, now)
    with database.writing() as session:
        make_model(session)
    late = now + timedelta(days=8)
    garbage.collect(database, store, late)

    class Slow(type(store)):
        """A store in which, while the first blob is removed, somebody registers the second."""

        def delete(self, digest):
            super().delete(digest)
            if digest == digest_of(contents[0]):
                put(store, contents[1])
                keep(database, store, contents[1], late)
                register(database, contents[1], late)

    done = garbage.collect(database, Slow(store.root), late + timedelta(days=2))
    assert done.removed == 1
    check_all_there(database, store)
    assert read_blob(store, digest_of(contents[1])) == contents[1]


def test_what_somebody_refers_to_is_never_marked(database, store):
    """The last count before a deletion begins: a reference alone, with no more said, is enough."""
    now = SystemClock().now()
    put(store, content_of(1))
    keep(database, store, content_of(1), now)
    garbage.collect(database, store, now + timedelta(days=8))
    with database.writing() as session:
        blobs.refer_to_blobs(session, [digest_of(content_of(1))], "snapshot", "one")
    with database.writing() as session:
        assert rows.begin_deleting(session, now + timedelta(days=10), 10) == []
    assert garbage.collect(database, store, now + timedelta(days=10)).spared == 1
    check_all_there(database, store)


def test_a_purge_takes_no_claim_of_another_version_with_the_same_files(database, store):
    now = SystemClock().now()
    with database.writing() as session:
        make_model(session)
    put(store, content_of(1))
    keep(database, store, content_of(1), now)
    for _ in range(2):
        register(database, content_of(1), now)
    with database.writing() as session:
        retirement.delete_version(session, "flights", 1, reason="x", actor=PERSON, now=now)
    for days in (31, 39, 41):
        garbage.collect(database, store, now + timedelta(days=days))
    assert read_blob(store, digest_of(content_of(1))) == content_of(1)
    check_all_there(database, store)
    with database.reading() as session:
        assert len(session.exec(select(tables.BlobReference)).all()) == 1


def test_an_upload_whose_bytes_were_swept_meanwhile_is_told_so(database, store):
    now = SystemClock().now()
    put(store, content_of(1))
    (path,) = store.root.glob("blobs/sha256/*/*")
    os.utime(path, (0, 0))
    for days in (0, 2):
        garbage.collect(database, store, now + timedelta(days=days))
    assert store.size(digest_of(content_of(1))) is None
    with pytest.raises(uploads.BlobGoneError):
        keep(database, store, content_of(1), now)
    with database.reading() as session:
        assert session.get(tables.Blob, digest_of(content_of(1))) is None
    put(store, content_of(1))
    keep(database, store, content_of(1), now)


def test_the_bytes_of_champions_stay_though_deleted(database, store):
    """What served lately stays: current, the last ones, and whatever the retention names."""
    now = SystemClock().now()
    with database.writing() as session:
        make_model(session)
    for number in range(4):
        put(store, content_of(number))
        keep(database, store, content_of(number), now)
        register(database, content_of(number), now)
    for number in (1, 2, 3):
        with database.writing() as session:
            change = Change("flights", "production", PERSON, "why")
            deployments.promote(session, change, version=number, force=True, now=now)
    with database.writing() as session:
        for number in (1, 4):
            retirement.delete_version(
                session, "flights", number, reason="tidy", actor=PERSON, now=now
            )
    late = now + timedelta(days=31)
    kept = garbage.plan(database, store, late, retention=Retention())
    assert [(item.verb, item.what) for item in kept] == [
        ("keep", "flights/1"),
        ("purge", "flights/4"),
    ]
    with database.reading() as session:
        before = set(session.exec(select(tables.Blob.digest)).all())
    for days in (0, 8, 2):
        late += timedelta(days=days)
        garbage.collect(database, store, late, retention=Retention())
    with database.reading() as session:
        gone = before - set(session.exec(select(tables.Blob.digest)).all())
    assert gone == {digest_of(content_of(3))}
    with pytest.raises(RegistryError, match="no blob"):
        read_blob(store, digest_of(content_of(3)))
    much_later = late + timedelta(days=400)
    purged = garbage.purge(database, much_later, Retention(champions=2))
    assert [item.what for item in purged] == ["flights/1"]


def test_orphans_are_told_of_a_day_before_they_go(database, store):
    put(store, content_of(1))
    put(store, content_of(2))
    now = SystemClock().now()
    (path,) = store.root.glob(f"blobs/sha256/*/{digest_of(content_of(1))[7:]}")
    week_ago = time.time() - rules.GRACE.total_seconds() - 60
    os.utime(path, (week_ago, week_ago))
    (item,) = garbage.plan(database, store, now)
    assert (item.verb, item.what) == ("condemn", digest_of(content_of(1)))
    assert garbage.collect(database, store, now).orphans == 1
    (item,) = garbage.plan(database, store, now)
    assert (item.verb, item.due_at) == ("remove", now + rules.REPRIEVE)
    with database.writing() as session:
        make_model(session)
    with pytest.raises(RegistryError, match="not stored"):  # nobody ever hashed it here
        register(database, content_of(1), now)
    assert garbage.collect(database, store, now).removed == 0


def test_a_dry_run_changes_nothing(database, store):
    now = SystemClock().now()
    put(store, content_of(1))
    keep(database, store, content_of(1), now)
    late = now + timedelta(days=8)
    for _ in range(2):
        assert [item.verb for item in garbage.plan(database, store, late)] == ["condemn"]
    with database.reading() as session:
        assert session.exec(select(tables.Blob.state)).all() == ["verified"]
