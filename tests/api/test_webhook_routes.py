"""Webhooks and events over HTTP: who may, what is shown, what is refused, and reading on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlmodel import select

from mlreg.client.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.domain.events import TOPICS
from mlreg.registry.services.outbox import tell
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import Webhook, WebhookDelivery
from tests.makers import START, make_models
from tests.servers.api import RunningApi
from tests.servers.whole_api import Knocker

MADE = ("deleted", "tested", "enabled", "disabled", "created")
URL = "https://hooks.example.com/services/T000/SECRET"


@pytest.fixture
def models(database):
    make_models(database)
    make_models(database, "fraud")
    return database


@pytest.fixture
def narrow(models, api, client):  # noqa: ARG001 - the models it is for
    """A client that is admin of one model, and of nothing else."""
    token = client.tokens.create("narrow", role="admin", models=["flights"]).token
    with api.client(token) as narrow:
        yield narrow


@pytest.mark.usefixtures("models")
def test_a_webhook_from_its_making_to_its_end(client):
    made = client.webhooks.create("hook", url=URL, topics=["run.failed"], models=["flights"])
    assert made.secret.startswith("whsec_")
    assert (made.url, made.behind) == ("https://hooks.example.com/…", 0)
    shown = client.webhooks.get("hook")
    assert (shown.topics, shown.models, shown.enabled) == (["run.failed"], ["flights"], True)
    assert "secret" not in shown.model_dump_json().lower()
    assert client.webhooks.deliveries("hook").items == []
    assert not client.webhooks.disable("hook").enabled
    assert client.webhooks.enable("hook").enabled
    client.webhooks.test("hook")
    assert client.events.after(0).items[-1].topic == "webhook.test"
    client.webhooks.delete("hook")
    assert client.webhooks.list() == []
    actions = [entry.action for entry in client.audit.list(subject="webhook:hook")]
    assert actions == [f"webhook.{one}" for one in MADE]


def test_a_pagers_key_is_given_and_never_shown(client):
    made = client.webhooks.create("pager", kind="pagerduty", topics=["*"], routing_key="R0UT1NG")
    assert (made.url, made.secret) == ("https://events.pagerduty.com/…", None)
    assert "R0UT1NG" not in client.webhooks.get("pager").model_dump_json()
    bodies = [entry.model_dump_json() for entry in client.audit.list()]
    assert not any("R0UT1NG" in body for body in bodies)


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"url": "http://example.com/"}, InvalidError, "invalid_webhook_url"),
        ({"url": "https://user:pw@example.com/"}, InvalidError, "invalid_webhook_url"),
        ({"url": None}, InvalidError, "invalid_webhook_url"),
        ({"topics": ["no.such"]}, InvalidError, "unknown_topic"),
        ({"models": ["nowhere"]}, NotFoundError, "model_not_found"),
        ({"routing_key": "x"}, InvalidError, "routing_key"),
        ({"kind": "pagerduty"}, InvalidError, "routing_key"),
    ],
)
def test_what_is_refused(client, options, error, code):
    with pytest.raises(error) as caught:
        client.webhooks.create("hook", **{"url": URL, "topics": ["*"], **options})
    assert caught.value.code == code
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest",
        "https://192.168.0.7:8443/",
        "https://localhost/",
        "https://8.8.8.8:25/",
    ],
)
def test_what_could_never_be_called_is_refused_at_once(client, url):
    with pytest.raises(RefusedError) as caught:
        client.webhooks.create("hook", url=url, topics=["*"])
    assert caught.value.code == "forbidden_webhook_target"
    assert client.webhooks.list() == []


def test_what_the_operator_allows_is_made(database, store):
    posts = PostSettings(allow=frozenset({"localhost:9443", "169.254.169.254"}))
    running = RunningApi(ApiParts(database, store, SystemClock(), posts=posts))
    running.start()
    try:
        with running.client() as client:
            client.webhooks.create("hook", url="https://localhost:9443/", topics=["*"])
            with pytest.raises(RefusedError):
                client.webhooks.create("no", url="https://169.254.169.254/", topics=["*"])
    finally:
        running.stop()


def test_a_making_that_is_repeated_is_answered_with_the_same_secret(api):
    knocker = Knocker(api.url, api.token)
    body, key = {"name": "hook", "url": URL, "topics": ["*"]}, {"Idempotency-Key": "once"}
    first, second = (knocker("POST", "/api/v1/webhooks", body, key) for _ in range(2))
    assert (first.status, second.status, second.body) == (201, 201, first.body)
    assert second.headers["idempotency-replayed"] == "true"
    knocker.close()


def test_a_name_is_taken_once(client):
    client.webhooks.create("hook", url=URL, topics=["*"])
    with pytest.raises(RefusedError) as caught:
        client.webhooks.create("hook", url=URL, topics=["*"])
    assert caught.value.code == "webhook_exists"
    with pytest.raises(NotFoundError):
        client.webhooks.get("another")


def test_who_has_one_model_is_told_of_one_model(client, narrow):
    client.webhooks.create("all", url=URL, topics=["*"])
    client.webhooks.create("both", url=URL, topics=["*"], models=["flights", "fraud"])
    for models in (None, ["fraud"], ["flights", "fraud"]):
        with pytest.raises((RefusedError, NotFoundError)):
            narrow.webhooks.create("hook", url=URL, topics=["*"], models=models)
    narrow.webhooks.create("hook", url=URL, topics=["*"], models=["flights"])
    assert [one.name for one in narrow.webhooks.list()] == ["hook"]
    for verb in ("get", "test", "disable", "enable", "delete", "deliveries"):
        with pytest.raises(NotFoundError):
            getattr(narrow.webhooks, verb)("both")
    assert [one.name for one in client.webhooks.list()] == ["all", "both", "hook"]


@pytest.mark.parametrize("role", ["viewer", "ci", "operator", "approver"])
def test_others_make_no_webhooks(api, client, role):
    token = client.tokens.create("other", role=role).token
    with api.client(token) as other:
        with pytest.raises(NotAllowedError):
            other.webhooks.create("hook", url=URL, topics=["*"])
        with pytest.raises(NotAllowedError):
            other.webhooks.list()


def test_events_are_read_on_from_a_place(client, narrow, models):
    bodies = [("flights", 1), ("fraud", 1), ("flights", 2), (None, 0)]
    for model, version in bodies:
        with models.writing() as session:
            tell(session, "version.registered", {"model": model, "version": version}, now=START)
    page = client.events.after(0, limit=3)
    assert [event.seq for event in page.items] == [1, 2, 3]
    assert (page.after, page.newest, page.lost) == (3, 4, False)
    assert page.items[0].line.startswith("flights/1 is registered")
    assert [event.seq for event in client.events.after(3).items] == [4]
    end = client.events.after(4)
    assert (end.items, end.after) == ([], 4)
    seen = narrow.events.after(0)
    assert ([event.seq for event in seen.items], seen.after) == ([1, 3], 4)


def test_a_reader_that_was_away_too_long_is_told(client, models):
    for _ in range(3):
        with models.writing() as session:
            tell(session, TOPICS[0], {"model": None}, now=START)
    client.events.after(0)
    with models.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM outbox_message WHERE seq < 3")
    assert client.events.after(1).lost
    assert not client.events.after(2).lost


@pytest.mark.usefixtures("models")
def test_deliveries_come_page_by_page(client, database):
    client.webhooks.create("hook", url=URL, topics=["*"])
    with database.writing() as session:
        (webhook,) = session.exec(select(Webhook)).all()
        for seq in range(1, 6):
            session.add(
                WebhookDelivery(
                    webhook_id=webhook.id,
                    seq=seq,
                    topic="webhook.test",
                    state="delivered",
                    attempts=1,
                    at=datetime(2026, 1, seq, tzinfo=UTC),
                )
            )
    first = client.webhooks.deliveries("hook", limit=2)
    second = client.webhooks.deliveries("hook", before=first.next, limit=2)
    third = client.webhooks.deliveries("hook", before=second.next, limit=2)
    assert [[one.seq for one in page.items] for page in (first, second, third)] == [
        [5, 4],
        [3, 2],
        [1],
    ]
    assert third.next is None
