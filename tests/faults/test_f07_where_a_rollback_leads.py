"""Fault 7: a rollback of a deployment with a deep history, and to versions that may not serve.

To a corrupt, a missing, a pickled or a never-champion version it is refused with its reason; else
it is done within a second, as a new and higher revision.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import text

from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.revisions import (
    BlobUnfitError,
    NeverChampionError,
    NoFormerChampionError,
    UnsafeFormatError,
)
from mlreg.registry.services import deployments
from mlreg.registry.services.catalog import VersionNotFoundError
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.fitness import StoreSilentError
from mlreg.registry.store import tables
from tests.faults.workers import PATIENCE_SECONDS
from tests.makers import PERSON, START, make_models, put_bytes, set_blob_state

CHANGE = Change("flights", "production", PERSON, "why")
DEPTH = 20_000
VERSIONS = 200


def promote(database, version):
    with database.writing() as session:
        return deployments.promote(session, CHANGE, version=version, force=True, now=START)


def rollback(database, to=None, store=None):
    with database.writing() as session:
        return deployments.rollback(session, CHANGE, to=to, store=store, now=START)


@pytest.fixture
def deep(database):
    """A deployment of many revisions, whose oldest champion is the one not rolled back."""
    make_models(database, versions=VERSIONS)
    first = promote(database, 1)
    with database.writing() as session:
        session.execute(
            text(
                "INSERT INTO revision (deployment_id, number, champion, candidates, frozen, cause,"
                " actor, reason, forced, at) SELECT :id, n, 2 + n % :others, '[]', false,"
                " CASE n WHEN 2 THEN 'promote' ELSE 'guard' END, 'ada', '', false, now()"
                " FROM generate_series(2, :depth) n"
            ),
            {"id": first.deployment_id, "others": VERSIONS - 1, "depth": DEPTH},
        )
        deployment = session.get(tables.Deployment, first.deployment_id)
        deployment.revision, deployment.champion = DEPTH, 2 + DEPTH % (VERSIONS - 1)
    return database


class UndoneError(Exception):
    """Ends a transaction without its COMMIT."""


def is_quick(database, to=None):
    """Say whether a rollback takes less than a second, at one of many tries: others compute too."""
    return any(seconds_of_undone(database, to) < 1 for _ in range(30))


def seconds_of_undone(database, to):
    began = time.perf_counter()
    with suppress(UndoneError), database.writing() as session:
        deployments.rollback(session, CHANGE, to=to, now=START)
        session.run_what_is_left()
        raise UndoneError
    return time.perf_counter() - began


def test_a_deep_history_is_walked_within_a_second(deep):
    assert is_quick(deep)
    state = rollback(deep)
    assert (state.revision, state.champion) == (DEPTH + 1, 1)
    assert is_quick(deep, to=3)
    assert rollback(deep, to=3).revision == DEPTH + 2


def spoil_nothing(_database, _store):
    return None


def corrupt(database, _store):
    set_blob_state(database, "flights", 1, "corrupt")


def lose(_database, store):
    store.delete(digest_of(b"flights/1"))


def pickle(database, _store):
    with database.writing() as session:
        session.execute(text("UPDATE version SET flavour = 'pickle' WHERE number = 1"))


def delete(database, _store):
    with database.writing() as session:
        session.execute(text("UPDATE version SET deleted_at = now() WHERE number = 1"))


@pytest.mark.parametrize(
    ("spoil", "to", "refused", "reason"),
    [
        (corrupt, 1, BlobUnfitError, "model.txt.* is corrupt"),
        (lose, 1, BlobUnfitError, "model.txt.* is missing from the store"),
        (pickle, 1, UnsafeFormatError, "is a pickle"),
        (delete, 1, VersionNotFoundError, "flights/1|version 1"),
        (spoil_nothing, 3, NeverChampionError, "never champion"),
        (corrupt, None, BlobUnfitError, "corrupt"),
        (delete, None, NoFormerChampionError, "no former champion"),
    ],
)
def test_a_rollback_to_what_may_not_serve_is_refused(database, store, spoil, to, refused, reason):
    make_models(database)
    put_bytes(store)
    promote(database, 1)
    before = promote(database, 2)
    spoil(database, store)
    with pytest.raises(refused, match=reason):
        rollback(database, to, store)
    with database.reading() as session:
        after = deployments.get_deployment(session, "flights", "production")
    assert (after.revision, after.champion) == (before.revision, 2)


def test_a_rollback_is_a_new_and_higher_revision(database, store):
    make_models(database)
    put_bytes(store)
    promote(database, 1)
    before = promote(database, 2)
    state = rollback(database, store=store)
    assert (state.revision, state.champion) == (before.revision + 1, 1)
    assert state.incarnation == before.incarnation


class SilentStore:
    """A store that keeps nobody waiting for ever, but longer than anybody waits."""

    def __init__(self):
        self.over = threading.Event()

    def size(self, _digest):
        self.over.wait(PATIENCE_SECONDS)


def test_a_silent_store_stops_a_promote_and_no_rollback(database):
    make_models(database)
    promote(database, 1)
    promote(database, 2)
    change = replace(CHANGE, reason="why")
    store = SilentStore()
    with pytest.raises(StoreSilentError), database.writing() as session:
        deployments.promote(session, change, version=3, force=True, store=store, now=START)
    assert rollback(database, store=store).champion == 1
    store.over.set()
