"""What served at a moment: against a model of the history, at every edge, and by its plan."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import deployments
from mlreg.registry.services.reigns import (
    InvalidMomentError,
    NothingServedYetError,
    get_reign,
    parse_moment,
)
from mlreg.registry.store import reigns
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import Revision
from tests.api.test_runs import run_cli
from tests.makers import PERSON, START, make_decision, make_models

NOW = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NUMBERS = itertools.count(1)


def change(session, verb, at, **options):
    asked = deployments.Change("flights", "production", PERSON, "because")
    try:
        with session.begin_nested():
            getattr(deployments, verb)(session, asked, now=at, **options)
    except RefusedError:
        return False
    return True


def reign(database, at):
    with database.reading() as session:
        return get_reign(session, "flights", "production", parse_moment(at.isoformat(), NOW))


@pytest.mark.parametrize(
    ("given", "expected", "assumed"),
    [
        ("2026-03-01T12:00", "2026-03-01T12:00:00+00:00", True),
        ("2026-03-01 12:00", "2026-03-01T12:00:00+00:00", True),
        ("2026-03-01", "2026-03-01T00:00:00+00:00", True),
        ("2026-03-01T12:00Z", "2026-03-01T12:00:00+00:00", False),
        ("2026-03-01T12:00+05:30", "2026-03-01T06:30:00+00:00", False),
    ],
)
def test_times_with_and_without_a_zone(given, expected, assumed):
    found = parse_moment(given, NOW)
    assert (found.at.isoformat(), found.assumed_utc) == (expected, assumed)


@pytest.mark.parametrize(
    "given",
    ["", "yesterday", "12:00", "2027-01-01T00:00:01", "0001-01-01T00:00+14:00", "2026-13-01"],
)
def test_what_is_no_time_or_in_the_future_is_refused(given):
    with pytest.raises(InvalidMomentError):
        parse_moment(given, NOW)


VERBS = st.sampled_from(["promote 1", "promote 2", "promote 3", "rollback", "freeze", "unfreeze"])
RARE = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@RARE
@given(verbs=st.lists(VERBS, min_size=1, max_size=12))
def test_every_moment_is_answered_as_the_history_says(database, verbs):
    model = f"m{next(NUMBERS)}"
    make_models(database, model)
    for place, verb in enumerate(["promote 1", *verbs]):
        word, _, version = verb.partition(" ")
        options = {"version": int(version), "force": True} if version else {}
        asked = deployments.Change(model, "production", PERSON, "because")
        try:
            with database.writing() as session:
                getattr(deployments, word)(session, asked, now=START + place * HOUR, **options)
        except RefusedError:
            continue
    with database.reading() as session:
        history = session.execute(
            text(
                "SELECT revision.number, revision.champion, at FROM revision"
                " JOIN deployment ON deployment.id = deployment_id"
                " JOIN model ON model.id = model_id WHERE model.name = :m ORDER BY number"
            ),
            {"m": model},
        ).all()
        for place in range(len(verbs) + 2):
            moment = START + place * HOUR + HOUR / 2
            found = get_reign(
                session, model, "production", parse_moment(moment.isoformat(), NOW)
            ).facts
            there = [one for one in history if one.at <= moment]
            present = there[-1]
            began = next(
                one
                for index, one in enumerate(there)
                if all(later.champion == present.champion for later in there[index:])
            )
            ended = next(
                (one for one in history[len(there) :] if one.champion != present.champion),
                None,
            )
            assert (found["revision"], found["champion"]) == (present.number, present.champion)
            assert found["brought_number"] == began.number
            assert found["ended_number"] == (ended and ended.number)


def test_the_edges_of_a_reign(database):
    model_id = make_models(database)
    with database.writing() as session:
        assert change(session, "promote", START + HOUR, version=1)
        decision = make_decision(session, model_id, 2, 1)
        assert change(session, "promote", START + 2 * HOUR, version=2)
        assert change(session, "freeze", START + 3 * HOUR)
        assert change(session, "rollback", START + 4 * HOUR)
    with pytest.raises(NothingServedYetError, match="its first revision is of 2026-01-01 01:00:00"):
        reign(database, START + HOUR - timedelta(microseconds=1))
    first = reign(database, START + HOUR)
    assert (first.facts["champion"], first.decision) == (1, None)
    assert first.facts["ended_at"] == START + 2 * HOUR
    second = reign(database, START + 3.5 * HOUR)
    assert (second.facts["champion"], second.facts["revision"], second.facts["frozen"]) == (
        2,
        3,
        True,
    )
    assert (second.facts["brought_number"], second.facts["brought_at"]) == (2, START + 2 * HOUR)
    assert second.decision.id == decision
    assert (second.facts["ended_cause"], second.facts["ended_champion"]) == ("rollback", 1)
    last = reign(database, START + 5 * HOUR)
    assert (last.facts["champion"], last.facts["ended_number"]) == (1, None)
    assert last.facts["cause"] == "rollback"


def test_a_long_history_is_asked_by_indexes(database):
    make_models(database)
    with database.writing() as session:
        change(session, "promote", START, version=1)
        session.execute(text(_insert()))
    with database.reading() as session:
        values = {
            "model": "flights",
            "environment": "production",
            "moment": START + timedelta(seconds=25_004),
        }
        plan = "\n".join(
            session.execute(text("EXPLAIN (ANALYZE, TIMING OFF) " + reigns._AT.text), values)
            .scalars()
            .all()
        )
        found = reigns.find_reign(session, "flights", "production", values["moment"])
    assert "Seq Scan on revision" not in plan, plan
    assert (found["champion"], found["brought_number"]) == (1 + 2500 % 3, 25_001)
    assert found["ended_number"] == 25_011


def _insert():
    """Fifty thousand revisions, the champion changing every ten seconds."""
    changed = {
        "number": "number + n",
        "champion": "1 + (n / 10) % 3",
        "at": "at + n * interval '1 second'",
    }
    names = list(Revision.__table__.columns.keys())
    values = ", ".join(changed.get(name, name) for name in names)
    return (
        f"INSERT INTO revision ({', '.join(names)}) SELECT {values}"
        " FROM revision, generate_series(1, 50000) AS n"
    )


def test_over_http_and_on_the_command_line(api, client, database, tmp_path):
    model_id = make_models(database)
    began = SystemClock().now() - timedelta(days=2)
    with database.writing() as session:
        change(session, "promote", began, version=1)
        make_decision(session, model_id, 2, 1)
        change(session, "promote", began + 24 * HOUR, version=2)
    found = client.deployments.at("flights", f"{began + HOUR:%Y-%m-%dT%H:%M:%S}")
    assert (found.champion, found.assumed_utc, found.brought.actor) == (1, True, PERSON.name)
    assert (found.ended.champion, found.ended.revision) == (2, 2)
    now = client.deployments.at("flights", (began + 25 * HOUR).isoformat())
    assert (now.champion, now.ended, now.decision.verdict) == (2, None, "accepted")
    assert now.digest.startswith("sha256:")
    with pytest.raises(NotFoundError) as caught:
        client.deployments.at("flights", (began - HOUR).isoformat())
    assert caught.value.code == "nothing_served_yet"
    with pytest.raises(InvalidError):
        client.deployments.at("flights", "noon")
    for model, environment in (("nobody", "production"), ("flights", "moon")):
        with pytest.raises(NotFoundError):
            client.deployments.at(model, began.isoformat(), environment=environment)
    at = f"{began + 25 * HOUR:%Y-%m-%dT%H:%M}"
    shown = run_cli(api, tmp_path, "history", "flights", "--at", at)
    assert shown.returncode == 0, shown.stderr
    assert "no zone was given: taken as UTC" in shown.stdout
    assert "served   version 2" in shown.stdout
    assert "accepted against version 1" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    early = run_cli(api, tmp_path, "history", "flights", "--at", "2001-01-01")
    assert early.returncode == 3
    assert "its first revision is of" in early.stderr
