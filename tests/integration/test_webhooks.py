"""Events on their way: into one order, to webhooks over real TLS, signed, retried, never lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mlreg.controller.services import delivering
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.registry.domain.events import TOPICS
from mlreg.registry.domain.webhooks import ATTEMPTS
from mlreg.registry.services.outbox import list_events, order_events, tell
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.services.webhooks import (
    WebhookForm,
    create_webhook,
    get_webhook,
    list_deliveries,
    send_test,
    switch_webhook,
)
from tests.faults.workers import PATIENCE_SECONDS
from tests.makers import PERSON, START, make_models

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def room(database, receiver):
    posts = PostSettings(frozenset({receiver.place}), receiver.ca_file)
    return ChoreRoom(database, None, NOW, ChoreSettings(posts=posts))


def make(database, url, name="hook", **options):
    form = {"kind": "cloudevents", "topics": ["*"], **options}
    with database.writing() as session:
        return create_webhook(
            session, WebhookForm(name=name, url=url, **form), actor=PERSON, now=START
        )


def tell_of(database, *numbers, topic="version.registered", model="flights"):
    for number in numbers:
        with database.writing() as session:
            body = {"model": model, "version": number, "actor": "ada"}
            tell(session, topic, body, now=START)


def numbers(receiver):
    return [one["data"]["version"] for one in receiver.bodies]


def webhook(database, name="hook"):
    with database.reading() as session:
        return get_webhook(session, name, actor=PERSON)


def dead(database, name="hook"):
    with database.reading() as session:
        found = list_deliveries(session, name, actor=PERSON, limit=100)
    return [one.seq for one in found if one.state == "dead"]


def wait_no_more(database):
    with database.writing() as session:
        session.execute(text("UPDATE webhook SET not_before = NULL"))


def claim_no_more(database):
    with database.writing() as session:
        session.execute(text("UPDATE webhook SET claimed_until = clock_timestamp()"))


def test_events_arrive_in_order_as_signed_cloudevents(database, room, receiver):
    tell_of(database, 0)
    order_events(database)
    made = make(database, receiver.url)
    tell_of(database, 1, 2, 3)
    assert delivering.send(room) == "3 sent"
    assert numbers(receiver) == [1, 2, 3]  # what was before it was made is not its business
    first = receiver.received[0]
    assert first.path == "/hook?of=test"
    event = first.json
    assert event["specversion"] == "1.0"
    assert event["type"] == "dev.mlreg.version.registered"
    assert (event["subject"], event["time"]) == ("model:flights", START.isoformat())
    assert first.headers["content-type"].startswith("application/cloudevents+json")
    assert first.headers["host"] == receiver.place
    assert (event["id"], first.headers["webhook-timestamp"]) == (
        first.headers["webhook-id"],
        str(int(NOW.timestamp())),
    )
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = f"{event['id']}.{int(NOW.timestamp())}.".encode() + first.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"
    assert delivering.send(room) == "0 sent"


def test_an_event_that_commits_late_is_not_lost(database, room, receiver):
    """Its id was counted first; whoever reads by ids has passed it when it commits."""
    make(database, receiver.url)
    begun, go_on = threading.Event(), threading.Event()

    def tell_late():
        with database.writing() as session:
            tell(session, "version.registered", {"model": "flights", "version": 1}, now=START)
            begun.set()
            go_on.wait(PATIENCE_SECONDS)

    late = threading.Thread(target=tell_late)
    late.start()
    assert begun.wait(PATIENCE_SECONDS)
    tell_of(database, 2)
    delivering.send(room)
    go_on.set()
    late.join()
    delivering.send(room)
    assert numbers(receiver) == [2, 1]
    with database.reading() as session:
        assert [event.seq for event in list_events(session, 0)] == [1, 2]


def test_a_failing_webhook_waits_keeps_the_order_and_holds_up_no_other(database, room, receiver):
    make(database, receiver.url)
    make(database, "https://localhost:1/nobody", name="other")
    receiver.statuses[:] = [200, 500]
    tell_of(database, 1, 2, 3)
    delivering.send(room)
    assert numbers(receiver) == [1, 2]
    failing = webhook(database)
    assert (failing.attempts, failing.last_outcome) == (1, "it answered 500")
    assert delivering.send(room) == "0 sent"  # its pause is not over
    wait_no_more(database)
    delivering.send(room)
    assert numbers(receiver) == [1, 2, 2, 3]
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert ids[1] == ids[2]
    assert webhook(database).attempts == 0
    assert "not called" in webhook(database, "other").last_outcome


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500, 503])
def test_only_a_2xx_is_delivery(database, room, receiver, status):
    make(database, receiver.url)
    receiver.statuses[:] = [status]
    tell_of(database, 1)
    assert delivering.send(room) == "0 sent"
    assert webhook(database).last_outcome == f"it answered {status}"


def test_a_spent_event_is_dead_and_a_second_one_disables(database, room, receiver):
    make(database, receiver.url)
    tell_of(database, 1, 2, 3)
    with database.writing() as session:
        session.execute(text("UPDATE webhook SET attempts = :n"), {"n": ATTEMPTS - 1})
    receiver.statuses[:] = [500, 500]
    delivering.send(room)
    assert dead(database) == [1]
    assert numbers(receiver) == [1, 2]
    disabled = webhook(database)
    assert (disabled.enabled, disabled.position) == (False, 1)
    wait_no_more(database)
    assert delivering.send(room) == "0 sent"
    with database.writing() as session:
        switch_webhook(session, "hook", enabled=True, actor=PERSON, now=START)
    delivering.send(room)
    assert numbers(receiver) == [1, 2, 2, 3]


def test_gone_disables_at_once(database, room, receiver):
    make(database, receiver.url)
    receiver.statuses[:] = [410]
    tell_of(database, 1)
    delivering.send(room)
    assert not webhook(database).enabled


def test_a_test_that_fails_holds_up_nothing(database, room, receiver):
    make(database, receiver.url)
    with database.writing() as session:
        send_test(session, "hook", actor=PERSON, now=START)
    tell_of(database, 1)
    receiver.statuses[:] = [500]
    assert delivering.send(room) == "2 sent"
    assert receiver.bodies[-1]["data"]["version"] == 1
    found = webhook(database)
    assert (found.attempts, found.enabled, found.not_before) == (0, True, None)
    assert len(dead(database)) == 1


def test_a_webhook_is_told_of_its_topics_and_models_only(database, room, receiver):
    make_models(database)
    make(database, receiver.url, models=["flights"], topics=["run.failed", "run.succeeded"])
    tell_of(database, 1)
    tell_of(database, 2, topic="run.failed", model="fraud")
    tell_of(database, 3, topic="run.failed")
    tell_of(database, 4, topic="blob.corrupt", model=None)
    delivering.send(room)
    assert numbers(receiver) == [3]
    with database.reading() as session:
        seq = list_events(session, 0)[-1].seq
    assert webhook(database).position == seq


def test_slack_gets_text_that_is_no_markup(database, room, receiver):
    make(database, receiver.url, kind="slack")
    with database.writing() as session:
        body = {"model": "flights", "version": 2, "actor": "<!channel> & co"}
        tell(session, "version.registered", body, now=START)
    delivering.send(room)
    (sent,) = receiver.bodies
    line = "flights/2 is registered by &lt;!channel&gt; &amp; co"
    assert sent == {"text": f"[version.registered] {line}"}


def test_pagerduty_is_paged_and_told_when_it_is_over(database, room, receiver):
    make(database, receiver.url, kind="pagerduty", routing_key="R0UT1NG")
    tell_of(database, 1)  # nothing to be woken up for
    incident = {"model": "flights", "environment": "production", "number": 7, "actor": "mlreg"}
    with database.writing() as session:
        tell(session, "incident.opened", {**incident, "title": "slow", "kind": "guard"}, now=START)
        tell(session, "incident.closed", incident, now=START)
    delivering.send(room)
    opened, closed = receiver.bodies
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert opened["routing_key"] == "R0UT1NG"
    assert opened["payload"]["summary"] == "incident 7 (guard) of flights in production: slow"
    assert opened["payload"]["severity"] == "error"
    assert "payload" not in closed
    assert "webhook-signature" not in receiver.received[0].headers


def test_every_topic_can_be_put_into_words(database):
    with database.writing() as session:
        for topic in TOPICS:
            tell(session, topic, {"model": "flights"}, now=START)
    order_events(database)
    with database.reading() as session:
        events = list_events(session, 0)
    assert [event.topic for event in events] == list(TOPICS)
    assert all(event.line and "{" not in event.line for event in events)


def test_what_is_old_is_forgotten_and_what_a_webhook_waits_for_is_not(database, room, receiver):
    make(database, receiver.url)
    receiver.statuses[:] = [200, 500]
    tell_of(database, 1, 2)
    delivering.send(room)
    with database.writing() as session:
        session.execute(text("UPDATE outbox_message SET sent_at = sent_at - interval '10 years'"))
        session.execute(text("UPDATE webhook_delivery SET at = at - interval '10 years'"))
        session.execute(
            text("INSERT INTO idempotency_key VALUES ('a', 'k', '', 200, '', '2020-01-01+00')")
        )
    assert delivering.prune(room) == "1 events, 1 deliveries, 1 keys, 0 chores, 0 jobs deleted"
    with database.reading() as session:
        assert [event.body["version"] for event in list_events(session, 0)] == [2]


SEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mlreg.controller.services import delivering
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.store.database import Database
url, place, ca_file = sys.argv[1:]
posts = PostSettings(frozenset({place}), Path(ca_file))
now = datetime(2026, 3, 1, tzinfo=UTC)
print(delivering.send(ChoreRoom(Database(url), None, now, ChoreSettings(posts=posts))))
"""


def test_a_killed_deliverer_sends_again_and_skips_nothing(database, database_url, room, receiver):
    """SIGKILL after the receiver's answer and before it is written down: sent twice, lost never."""
    make(database, receiver.url)
    tell_of(database, *range(1, 6))
    words = [sys.executable, "-c", SEND, database_url, receiver.place, str(receiver.ca_file)]
    for _ in range(2):
        environment = {**os.environ, "MLREG_FAILPOINT": "webhook.sent"}
        done = subprocess.run(words, env=environment, check=False, capture_output=True)
        assert done.returncode == -9
        assert delivering.send(room) == "0 sent"  # the dead one's claim holds for a minute
        claim_no_more(database)
    assert numbers(receiver) == [1, 1]
    assert delivering.send(room) == "5 sent"
    assert numbers(receiver) == [1, 1, 1, 2, 3, 4, 5]
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 5
