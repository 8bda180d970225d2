"""Deployments over HTTP: preconditions, tags, keys, look-ups, acknowledgements."""

from __future__ import annotations

import json
import threading

import pytest

from mlreg.client.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    StaleRevisionError,
)
from mlreg.client.transport import Call
from mlreg.registry.api.cache import POLL_SECONDS
from mlreg.registry.services import deployments as services
from mlreg.registry.store.notifications import DEPLOYMENT_CHANNEL, TOKEN_CHANNEL, listen
from tests.api.test_doors import call
from tests.integration.test_deployments import CHANGE
from tests.makers import START, make_models, put_bytes

PATH = "/api/v1/models/flights/deployments/production"
JSON = {"Content_Type": "application/json"}


@pytest.fixture
def deployments(client, database, api):
    make_models(database)
    put_bytes(api.parts.store)
    return client.deployments


def test_promote_roll_back_and_look_up(deployments):
    first = deployments.promote("flights", 1, reason="first")
    assert (first.revision, first.champion, first.previous) == (1, 1, None)
    assert deployments.get("flights").model_dump() == first.model_dump(
        exclude={"previous", "changed", "dry_run", "notes", "approvers", "broke_glass"}
    )
    deployments.promote("flights", 2, force=True, reason="why not", expect=first.etag)
    assert deployments.get("flights").champion == 2
    back = deployments.rollback("flights")
    assert (back.champion, back.frozen) == (1, True)
    assert "unfreeze" in back.notes[0]
    assert not deployments.unfreeze("flights").frozen
    causes = [item.cause for item in deployments.history("flights")]
    assert causes == ["unfreeze", "rollback", "promote", "promote"]
    assert [item.ended_by_rollback for item in deployments.history("flights")][2]


@pytest.mark.usefixtures("deployments")
def test_a_change_without_if_match_is_428(api):
    status, _, body = call(api, "POST", f"{PATH}/promote", b'{"version": 1}', **JSON)
    assert (status, json.loads(body)["code"]) == (428, "precondition_required")


def test_a_stale_tag_is_412_with_what_is(deployments):
    first = deployments.promote("flights", 1)
    deployments.promote("flights", 2, force=True, reason="x", expect=first.etag)
    with pytest.raises(StaleRevisionError) as caught:
        deployments.promote("flights", 3, force=True, reason="x", expect=first.etag)
    assert caught.value.current["champion"] == 2
    with pytest.raises(StaleRevisionError):
        deployments.rollback("flights", expect='"another-2"')
    with pytest.raises(InvalidError):
        deployments.rollback("flights", expect="nonsense")


def test_dry_run_changes_nothing(deployments):
    would = deployments.promote("flights", 1, dry_run=True)
    assert (would.revision, would.dry_run) == (1, True)
    assert deployments.find("flights") is None
    assert deployments.promote("flights", 1).revision == 1


def test_the_same_key_is_one_change(client, deployments):
    headers = {"If-Match": "*", "Idempotency-Key": "k"}
    one = Call("POST", f"{PATH}/promote", content=b'{"version": 1}', headers=headers)
    other = Call("POST", f"{PATH}/promote", content=b'{"version": 2}', headers=headers)
    assert client.transport.send(one).body == client.transport.send(one).body
    with pytest.raises(RefusedError) as caught:
        client.transport.send(other)
    assert caught.value.code == "idempotency_conflict"
    assert [item.number for item in deployments.history("flights")] == [1]


def test_the_tag_spares_the_body(api, deployments):
    tag = deployments.promote("flights", 1).etag
    status, headers, body = call(api, "GET", PATH, If_None_Match=tag)
    assert (status, body, headers["etag"]) == (304, b"", tag)
    status, headers, body = call(api, "GET", PATH, If_None_Match='"other-1"')
    assert (status, json.loads(body)["champion"]) == (200, 1)


def test_what_is_not_there_says_what(deployments):
    for model, environment, code in (
        ("flights", "production", "deployment_not_found"),
        ("other", "production", "model_not_found"),
        ("flights", "staging", "environment_not_found"),
    ):
        with pytest.raises(NotFoundError) as caught:
            deployments.get(model, environment)
        assert caught.value.code == code


def test_another_process_s_change_is_seen_within_a_second(api, deployments, database):
    deployments.promote("flights", 1)
    with database.writing() as session:
        services.promote(session, CHANGE, version=2, force=True, now=START)
    api.await_known(lambda: deployments.get("flights").champion == 2)
    assert POLL_SECONDS <= 1


def test_who_listens_is_told_without_a_poll(client, deployments, database):
    channels, stop = (DEPLOYMENT_CHANNEL, TOKEN_CHANNEL), threading.Event()
    hints = listen(database.url, channels, poll_seconds=3600, stop=stop)
    assert next(hints) == "connected"
    deployments.promote("flights", 1)
    assert next(hints) == "notified"
    client.tokens.revoke(client.tokens.create("ci", role="ci").id)
    assert next(hints) == "notified"
    stop.set()
    hints.close()


def test_status_shows_who_is_behind(deployments):
    deployments.promote("flights", 1)
    deployments.promote("flights", 2, force=True, reason="x")
    deployments.acknowledge("flights", client="web-1", revision=1)
    deployments.acknowledge("flights", client="web-2", revision=2)
    (found,) = deployments.status("flights")
    assert [(item.client, item.behind) for item in found.clients] == [("web-1", 1), ("web-2", 0)]


def test_of_clients_those_are_remembered_that_spoke_last(deployments, monkeypatch):
    monkeypatch.setattr("mlreg.registry.services.status.MAX_CLIENTS", 3)
    deployments.promote("flights", 1)
    for number in (1, 2, 3, 1, 4, 5, 1):
        deployments.acknowledge("flights", client=f"web-{number}", revision=1)
    (found,) = deployments.status("flights")
    assert [item.client for item in found.clients] == ["web-1", "web-4", "web-5"]
    with pytest.raises(ValueError, match="client"):
        deployments.acknowledge("flights", client="w" * 64, revision=1)


def test_environments_are_declared(client, deployments):
    client.environments.create("staging")
    assert [item.name for item in client.environments.list()] == ["production", "staging"]
    assert deployments.promote("flights", 1, environment="staging").environment == "staging"


def test_the_audit_log_is_listed_and_verified(client, deployments):
    deployments.promote("flights", 1)
    newest = next(client.audit.list())
    assert (newest.action, newest.body["champion"]) == ("deployment.promote", 1)
    assert client.audit.verify().first_bad is None


def test_a_revoked_token_is_refused_within_a_second(api, client):
    issued = client.tokens.create("ci", kind="service", role="operator", days=1)
    with api.client(issued.token) as other:
        other.environments.list()
        client.tokens.revoke(issued.id)
        api.await_known(lambda: not is_let_in(other))
        with pytest.raises(NotAllowedError, match="authentication"):
            other.environments.list()


def is_let_in(client):
    try:
        client.environments.list()
    except NotAllowedError:
        return False
    return True
