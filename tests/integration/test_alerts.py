"""Alerts of readings just written: one for a cause, folded, explained, told of once."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from mlreg.controller.domain.alert_rule import AlertRules
from mlreg.controller.services import alerting, watching
from mlreg.controller.services.alerting import Cause
from mlreg.controller.store import tables
from mlreg.controller.store.readings import write_readings
from tests.alert_makers import DAY, Stream, reading, window
from tests.automation_makers import HOUR, Automation
from tests.automation_makers import START as FLIGHTS_START
from tests.faults.workers import PATIENCE_SECONDS
from tests.makers import START, make_models


@pytest.fixture
def stream(database):
    return Stream(database, make_models(database))


def test_features_of_one_burst_are_one_alert_with_culprits_by_size(stream):
    stream.drifts(0, "temp", "wind")
    assert [one.state for one in stream.alerts()] == ["pending"]
    assert stream.events() == []
    stream.drifts(1, "temp", "wind", "rain")
    (alert,) = stream.alerts()
    assert (alert.state, alert.kind, alert.severity) == ("open", "drift", "warning")
    assert alert.culprits == ["temp", "wind"]
    assert alert.title == "drift of temp, wind"
    stream.drifts(2, "rain", "wind")
    (alert,) = stream.alerts()
    assert alert.culprits == ["rain", "wind", "temp"]
    stream.drifts(3)
    stream.drifts(4)
    (alert,) = stream.alerts()
    assert alert.state == "resolved"
    assert stream.told() == ["alert.opened", "alert.resolved"]
    whats = [what for what, _ in stream.entries()]
    assert whats == ["opened", "grown", "resolved"]
    opened = stream.all(tables.AlertEntry)[0]
    assert [one["subject"] for one in opened.readings] == ["temp", "wind", "rain"]
    assert (opened.count, opened.topic) == (3, "alert.opened")


def test_what_is_forgotten_leaves_nothing(stream):
    for number in range(5):
        stream.drifts(number, *(["temp"] if number == 0 else []))
    assert stream.alerts() == []


def test_all_readings_of_a_window_count_whoever_wrote_them(stream):
    """The classifier's reading comes minutes after the distances of the same window."""
    for number in range(2):
        stream.drifts(number)
        stream.reads(number, reading(number, "", "unusual", "domain_auc", 0.9))
    (alert,) = stream.alerts()
    assert (alert.state, alert.culprits) == ("open", ["domain_auc"])
    stream.drifts(1)  # read again: it changes nothing
    assert len(stream.entries()) == 1


def test_other_kinds_are_other_causes(stream):
    for number in range(2):
        stream.reads(
            number,
            reading(number, "temp", "unusual"),
            reading(number, "temp", "unusual", "null_share"),
            reading(number, "", "unusual", "score_mean"),
        )
    assert sorted(one.kind for one in stream.alerts()) == ["drift", "quality", "score"]


def test_a_quiet_window_costs_one_statement(stream, database):
    said = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    with database.writing() as session:
        watching.watch(session, stream.place, [window(0)], now=START)
    assert len([one for one in said if "reading" in one or "alert" in one]) == 1


def outage(database, model_id, number, features=("temp",)):
    with database.writing() as session:
        span = window(number)
        row = tables.Outage(
            model_id=model_id, start=span.start, end=span.end, features=list(features), share=1.0
        )
        session.add(row)


def test_an_outage_explains_the_drift_of_its_features_and_no_other(stream, database):
    model_id = stream.place[0]
    cause = Cause(model_id, "production", "outage", severity="critical", title="temp is down")
    with database.writing() as session:
        number = alerting.raise_alert(session, cause, [], now=START)
    outage(database, model_id, 0)
    outage(database, model_id, 1)
    stream.drifts(0, "temp", "wind")
    stream.drifts(1, "temp", "wind")
    drift = next(one for one in stream.alerts() if one.kind == "drift")
    assert drift.culprits == ["wind"]
    said = [line for what, line in stream.entries() if line.startswith("explains drift of")]
    assert len(said) == 2
    assert "(temp)" in said[0]
    assert {one.alert_id for one in stream.all(tables.AlertEntry) if "explains" in one.line} == {
        number
    }


def test_a_window_that_turns_out_to_be_an_outage_takes_its_drift_back(stream, database):
    stream.drifts(0, "temp")
    stream.drifts(1, "temp")
    assert stream.told() == ["alert.opened"]
    outage(database, stream.place[0], 1)
    stream.reads(1, reading(1, "", None, "rows", state="outage"), again=True)
    (alert,) = stream.alerts()
    assert alert.state == "resolved"
    what, line = stream.entries()[-1]
    assert what == "resolved"
    assert line.startswith("explained by outage")


def test_a_critical_alert_has_an_incident_and_people_are_told_once(stream):
    for number in range(2):
        stream.drifts(number, "temp")
    assert stream.told() == ["alert.opened"]
    rules = AlertRules.model_validate_json('{"drift": {"severity": "critical", "quiet": 1}}')
    stream.rules = rules
    stream.drifts(2, "temp")
    (incident,) = stream.all(tables.Incident)
    assert (incident.kind, incident.title) == ("alert", "drift of temp")
    assert stream.told() == ["alert.opened", "incident.opened"]
    stream.drifts(3)
    assert stream.told()[-1] == "alert.resolved"
    (incident,) = stream.all(tables.Incident)
    assert incident.state == "open"  # a person's timeline is closed by a person
    stream.drifts(4, "temp")
    stream.drifts(5, "temp")  # a new alert of the same cause comes to the same incident
    assert len(stream.all(tables.Incident)) == 1
    assert stream.told()[-1] == "alert.opened"
    assert len(stream.all(tables.IncidentEntry)) == 3


def test_it_becomes_louder_when_it_lasts(stream):
    stream.rules = AlertRules.model_validate_json('{"drift": {"escalate": 4}}')
    for number in range(6):
        stream.drifts(number, "temp")
    assert stream.told() == ["alert.opened", "incident.opened"]
    assert [what for what, _ in stream.entries()] == ["opened", "escalated"]
    assert stream.alerts()[0].severity == "critical"


def test_it_is_told_again_after_a_while(stream, database):
    stream.drifts(0, "temp")
    stream.drifts(1, "temp")
    opened = window(1).end
    assert watching.remind(database, opened + 6 * DAY) == 0
    assert watching.remind(database, opened + 7 * DAY) == 1
    assert watching.remind(database, opened + 7 * DAY) == 0
    assert stream.told() == ["alert.opened", "alert.reminded"]


def test_a_policy_may_want_none_of_a_kind(stream):
    stream.drifts(0, "temp")
    stream.drifts(1, "temp")
    stream.rules = AlertRules.model_validate_json('{"drift": false}')
    stream.drifts(2, "temp")
    (alert,) = stream.alerts()
    assert alert.state == "resolved"
    stream.drifts(3, "temp")
    stream.drifts(4, "temp")
    assert len(stream.alerts()) == 1


def test_a_broken_invariant_is_as_loud_as_it_says(stream):
    def broken(number, name, alert):
        found = reading(number, "", "unusual", f"invariant:{name}")
        return found._replace(evidence={"severity": "block", "alert": alert})

    stream.reads(0, broken(0, "way", "info"))
    (alert,) = stream.alerts()
    assert (alert.kind, alert.severity) == ("invariant", "info")  # less than the kind's own
    stream.reads(1, broken(1, "way", "info"), broken(1, "load", None))
    assert stream.alerts()[0].severity == "warning"
    stream.reads(2, broken(2, "way", "info"), broken(2, "load", "critical"))
    assert stream.alerts()[0].severity == "critical"
    assert len(stream.all(tables.Incident)) == 1


def test_others_raise_and_resolve_what_they_know(stream, database):
    cause = Cause(stream.place[0], "production", "certificate", "tls", title="it expires")
    with database.writing() as session:
        number = alerting.raise_alert(session, cause, [], now=START)
    with database.writing() as session:
        assert alerting.raise_alert(session, cause, [], now=START + HOUR) == number
    with database.writing() as session:
        assert alerting.resolve(session, cause, "renewed", now=START + DAY)
        assert not alerting.resolve(session, cause, "renewed", now=START + DAY)
    assert stream.told() == ["alert.opened", "alert.resolved"]
    assert stream.alerts()[0].title == "it expires"


def test_an_outage_of_a_feed_is_one_alert_in_its_incident(database, store):
    automation = Automation(database, store)
    stream = Stream(database, automation.model.id)
    automation.log(FLIGHTS_START, broken=range(20, 24))
    automation.log(FLIGHTS_START + DAY, broken=range(24))
    automation.log(FLIGHTS_START + 2 * DAY, broken=range(6))
    automation.log(FLIGHTS_START + 3 * DAY)
    for number in range(1, 5):
        automation.pass_to(FLIGHTS_START + number * DAY)
    (alert,) = stream.alerts()
    (incident,) = stream.all(tables.Incident)
    assert (alert.kind, alert.state, alert.severity) == ("outage", "resolved", "critical")
    assert (alert.incident_id, incident.state) == (incident.id, "closed")
    assert stream.told() == ["incident.opened", "incident.closed"]
    assert [one.topic for one in stream.events() if one.body.get("quiet")] == [
        "alert.opened",
        "alert.resolved",
    ]


def test_two_who_see_it_at_once_open_one(stream):
    """Each writes a distance of its own, so that nothing but their turns keeps them apart."""
    stream.drifts(0, "temp", "wind")
    barrier = threading.Barrier(4)

    def see(monitor, feature):
        with stream.database.writing() as session:
            found = [reading(1, feature, "unusual", monitor)]
            write_readings(session, stream.place, found, now=window(1).end)
            barrier.wait(PATIENCE_SECONDS)
            watching.watch(session, stream.place, [window(1)], now=window(1).end)

    seen = [("psi", "temp"), ("ks", "wind"), ("wasserstein", "temp"), ("jensen_shannon", "wind")]
    threads = [threading.Thread(target=see, args=pair) for pair in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert stream.told() == ["alert.opened"]
    (alert,) = stream.alerts()
    assert sorted(alert.culprits) == ["temp", "wind"]
    _, last = alert.memory["seen"][-1]
    assert sorted(last) == ["temp", "wind"]  # nobody has overlooked what others wrote


def test_the_statement_uses_the_index_of_windows(stream, database):
    with database.writing() as session:
        session.execute(
            text("""
            INSERT INTO reading (model_id, environment, monitor, subject, start, "end", rows,
                                 state, verdict, created_at)
            SELECT :model, 'production', 'psi', 'f' || f, at, at + interval '1 day', 1, 'final',
                   'normal', at
            FROM generate_series(1, 50) f,
                 generate_series(timestamptz '2020-01-01Z', '2021-01-01Z', '1 day') at
            """),
            {"model": stream.place[0]},
        )
        session.execute(text("ANALYZE reading"))
        from mlreg.controller.store.alerts import _WORTH_A_LOOK

        values = {"model_id": stream.place[0], "environment": "production"}
        starts = [START - timedelta(days=2_000)]
        plan = session.execute(
            text("EXPLAIN " + _WORTH_A_LOOK.text), {**values, "starts": starts}
        ).scalars()
        assert "ix_reading_window" in "\n".join(plan)
