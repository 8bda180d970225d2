"""Archiving, deleting and restoring, over HTTP, through the client."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotFoundError, RefusedError
from mlreg.client.transport import Call, path
from mlreg.registry.domain import errors
from mlreg.registry.domain.garbage import Retention
from mlreg.registry.services import audit, deployments, garbage, retirement
from mlreg.registry.services.catalog import get_model
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import tables
from tests.makers import PERSON, START, make_models, make_version, put_bytes

pytestmark = pytest.mark.usefixtures("flights")
DELETE = path("models", "flights", "versions", 2, "delete")


@pytest.fixture
def flights(database, store):
    """A model with versions 1 to 4 and their bytes."""
    put_bytes(store, versions=4)
    return make_models(database, versions=4)


def promote(database, version, environment="production"):
    change = Change("flights", environment, PERSON, "why")
    with database.writing() as session:
        deployments.promote(session, change, version=version, force=True, now=START)


def actions(database):
    with database.reading() as session:
        return [entry.action for entry in audit.list_entries(session, audit.AuditFilter())]


def test_a_deleted_version_is_gone_for_everybody_and_comes_back(client, database):
    deleted = client.versions.delete("flights", 2, reason="leaked labels")
    assert deleted.deleted_reason == "leaked labels"
    for ask in (
        lambda: client.versions.get("flights", 2),
        lambda: client.versions.verify("flights", 2),
        lambda: client.deployments.promote("flights", 2, reason="x"),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert [v.number for v in client.versions.list("flights", archived=True).items] == [4, 3, 1]
    (gone,) = client.versions.list("flights", deleted=True).items
    assert (gone.number, gone.deleted_by) == (2, "admin")
    assert client.versions.restore("flights", 2).deleted_at is None
    assert [v.number for v in client.versions.list("flights").items] == [4, 3, 2, 1]
    assert actions(database)[:2] == ["version.restore", "version.delete"]


def test_deleting_twice_is_deleting_once(client, database):
    body = b'{"reason": "old"}'
    answers = {
        client.transport.send(
            Call("POST", DELETE, content=body, headers={"Idempotency-Key": key})
        ).body
        for key in ("one", "one", "two")
    }
    assert len(answers) == 1
    assert actions(database).count("version.delete") == 1


@pytest.mark.parametrize("verb", ["archive", "delete"])
def test_no_end_without_a_reason(client, verb):
    for reason in ("", "  "):
        with pytest.raises(InvalidError) as refused:
            getattr(client.versions, verb)("flights", 1, reason=reason)
        assert refused.value.code == "reason_required"
        with pytest.raises(InvalidError):
            getattr(client.models, verb)("flights", reason=reason)


def test_what_serves_or_would_after_a_rollback_stays_and_is_told_where(client, database):
    promote(database, 1)
    promote(database, 2)
    for number, part in ((2, "champion"), (1, "rollback target")):
        with pytest.raises(RefusedError) as refused:
            client.versions.delete("flights", number, reason="tidy")
        assert refused.value.code == "in_service"
        assert f"{part} in production" in str(refused.value)
    with pytest.raises(RefusedError, match="champion in production"):
        client.versions.archive("flights", 2, reason="tidy")
    with pytest.raises(RefusedError, match="champion in production"):
        client.models.delete("flights", reason="tidy")
    client.versions.delete("flights", 3, reason="tidy")


def test_a_candidate_in_live_traffic_stays(client, database):
    promote(database, 1)
    with database.writing() as session:
        deployment = session.exec(select(tables.Deployment)).one()
        session.add(
            tables.Revision(
                deployment_id=deployment.id,
                number=2,
                champion=1,
                candidates=[{"version": 3, "role": "canary", "share": 0.1}],
                fallback="flights/4",
                cause="promote",
                actor="test",
                at=START,
            )
        )
        deployment.revision = 2
    for number, part in ((3, "candidate"), (4, "fallback")):
        with pytest.raises(RefusedError, match=f"{part} in production"):
            client.versions.delete("flights", number, reason="tidy")


def test_an_older_champion_may_go_and_rollbacks_step_over_it(client, database):
    for number in (1, 2, 3):
        promote(database, number)
    client.versions.delete("flights", 1, reason="tidy")
    with database.writing() as session:
        change = Change("flights", "production", PERSON, "bad")
        assert deployments.rollback(session, change, now=START).champion == 2
    with (
        pytest.raises(errors.RefusedError, match="no former champion"),
        database.writing() as session,
    ):
        deployments.rollback(session, Change("flights", "production", PERSON, "bad"), now=START)


def test_an_archived_version_is_hidden_and_not_promoted_but_can_be_rolled_back_to(
    client, database, tmp_path
):
    promote(database, 1)
    promote(database, 2)
    client.versions.archive("flights", 1, reason="superseded")
    client.versions.archive("flights", 3, reason="never good")
    assert [version.number for version in client.versions.list("flights").items] == [4, 2]
    listed = client.versions.list("flights", archived=True).items
    assert [version.number for version in listed] == [4, 3, 2, 1]
    shown = client.versions.get("flights", 3)
    assert (shown.archived_reason, shown.archived_by) == ("never good", "admin")
    client.versions.download(shown, tmp_path / "out")
    with pytest.raises(errors.RefusedError, match="archived"):
        promote(database, 3)
    assert client.deployments.rollback("flights", reason="bad").champion == 1
    client.versions.restore("flights", 3)
    promote(database, 3)


def test_a_deleted_model_is_gone_with_its_versions_and_keeps_its_name(client):
    client.models.delete("flights", reason="a mistake")
    for ask in (
        lambda: client.models.get("flights"),
        lambda: client.versions.list("flights"),
        lambda: client.versions.get("flights", 1),
        lambda: client.models.archive("flights", reason="x"),
        lambda: client.deployments.get("flights"),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert client.models.list(archived=True).items == []
    (gone,) = client.models.list(deleted=True).items
    assert (gone.name, gone.deleted_reason) == ("flights", "a mistake")
    restored = client.models.restore("flights")
    assert restored.deleted_at is None
    assert client.versions.get("flights", 4).number == 4


def test_an_archived_model_serves_on_and_rolls_back(client, database):
    promote(database, 1)
    promote(database, 2)
    client.models.archive("flights", reason="replaced by trains")
    with pytest.raises(errors.RefusedError, match="archived"):
        promote(database, 3)
    assert client.deployments.rollback("flights", reason="bad").champion == 1


def test_after_thirty_days_the_record_stays_and_nothing_comes_back(client, database):
    why = {"reason": "old", "actor": PERSON}
    with database.writing() as session:
        retirement.delete_version(session, "flights", 1, now=START, **why)
    for seconds, purged in ((-1, []), (1, ["flights/1"])):
        late = START + timedelta(days=30, seconds=seconds)
        items = garbage.purge(database, late, Retention())
        assert [item.what for item in items] == purged
    with pytest.raises(RefusedError, match="more than 30 days"):
        client.versions.restore("flights", 1)
    (tombstone,) = client.versions.list("flights", deleted=True).items
    assert (tombstone.number, tombstone.purged_at) == (1, late)
    with database.writing() as session:
        assert get_model(session, "flights").last_version == 4


def test_there_must_be_something_to_restore(client):
    with pytest.raises(NotFoundError):
        client.versions.restore("flights", 99)
    with pytest.raises(NotFoundError):
        client.models.restore("trains")
    assert client.versions.restore("flights", 1).deleted_at is None


def test_only_an_admin_lets_unsafe_formats_go_live(client, database, store):
    with database.writing() as session:
        make_version(session, get_model(session, "flights"), 5, flavour="pickle")
    put_bytes(store, versions=5)
    with pytest.raises(errors.RefusedError, match="never loaded here"):
        promote(database, 5)
    assert client.models.allow_unsafe("flights", allowed=True, reason="legacy").allows_unsafe
    promote(database, 5)
    assert actions(database).count("model.unsafe") == 1


@pytest.mark.slow
def test_a_delete_that_races_a_promote_never_takes_the_champion(database):
    """Both orders happen; in neither is a deleted version live, nor does one wait for ever."""
    outcomes = set()
    for number in range(1, 5):
        start = threading.Barrier(2)

        def attempt(verb, start=start, number=number):
            start.wait()
            try:
                verb(number)
            except errors.RegistryError as error:
                return error.code
            return "done"

        def delete(number):
            with database.writing() as session:
                retirement.delete_version(
                    session, "flights", number, reason="race", actor=PERSON, now=START
                )

        with ThreadPoolExecutor(2) as pool:
            promoting = pool.submit(attempt, lambda one: promote(database, one))
            deleting = pool.submit(attempt, delete)
            outcomes.add((promoting.result(), deleting.result()))
        with database.reading() as session:
            champions = session.exec(
                select(tables.Version.deleted_at).join(
                    tables.Deployment, tables.Deployment.champion == tables.Version.number
                )
            ).all()
        assert all(deleted_at is None for deleted_at in champions)
    assert outcomes <= {("done", "in_service"), ("version_not_found", "done")}
