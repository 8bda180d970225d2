"""Lineage of real runs, both ways; what a caller may not see; speed on a large graph."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from benchmarks.seed import seed_versions
from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.controller.api import lineage as routes
from mlreg.controller.services.draining import drain_model
from mlreg.registry.domain.lineage import Node
from mlreg.registry.services.lineage import Question, trace
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.lineage import add_edges
from mlreg.registry.store.tables import LineageEdge
from tests.api.test_runs import TODAY, run_cli
from tests.makers import PERSON, START, make_models
from tests.run_makers import (
    DAY,
    ask,
    await_end,
    log_stream,
    make_model,
    promote_by_hand,
    worker,
)


@pytest.fixture
def extra_routers():
    return (routes.router,)


def kinds(found, kind):
    return {node.name for node in found.nodes if node.kind == kind}


def test_a_run_from_its_segments_to_its_revision(  # noqa: PLR0915 - one run, seen from everywhere
    api, client, database, store, tmp_path
):
    clock = SystemClock()
    model = make_model(database)
    log_stream(database, model, TODAY - 33 * DAY, 32)
    with worker(database, store, clock, tmp_path / "work"):
        run = await_end(database, ask(database, now=clock.now()))
    promoted = clock.now()
    promote_by_hand(database, run.version, now=promoted, actor=PERSON)

    up = client.lineage.of("flights/1", direction="upstream")
    assert kinds(up, "run") == {str(run.id)}
    assert kinds(up, "snapshot") == {run.snapshot}
    segments = kinds(up, "segment")
    assert len(segments) >= 2
    assert kinds(up, "decision") == kinds(up, "revision") == set()
    down = client.lineage.of("flights", direction="downstream")
    assert kinds(down, "decision") == {str(run.decision_id)}
    assert kinds(down, "revision") == {"flights:production/1"}
    [version] = [node for node in down.nodes if node.kind == "version"]
    assert (version.live, version.facts["lane"]) == (("production",), "full")
    arrows = {(edge.source, edge.target) for edge in down.edges}
    assert ("version:flights/1", "revision:flights:production/1") in arrows

    for thing in (f"segment:{min(segments)}", f"snapshot:{run.snapshot}", f"run:{run.id}"):
        live = client.lineage.of(thing, live=True)
        assert kinds(live, "version") == {"flights/1"}, thing
    judged_on = client.lineage.of(f"snapshot:{run.evaluate_snapshot}", live=True)
    assert kinds(judged_on, "version") == set(), "it was judged on them, not trained"

    shown = run_cli(api, tmp_path, "lineage", "flights@champion")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("flights/1  full, ")
    assert "LIVE in production" in shown.stdout
    assert "  revision flights:production/1  promote, ada" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    listed = run_cli(api, tmp_path, "lineage", f"segment:{min(segments)}", "--live")
    assert listed.stdout.splitlines()[1].split() == [
        *("flights/1", "production", "full", f"{promoted:%Y-%m-%d}")
    ]


def test_a_compacted_segment_leads_to_what_was_trained_on_it(database, store):
    now = START + timedelta(days=60)
    model = make_model(database)
    for day in range(33):
        log_stream(database, model, START + day * DAY, 1, rows_a_day=5)
        drain_model(database, store, model.id, now=now)
    with database.reading() as session:
        edges = session.exec(select(LineageEdge).where(LineageEdge.target_kind == "segment")).all()
        there = set(session.execute(text("SELECT digest FROM segment")).scalars())
    assert len({edge.source for edge in edges}) >= 32
    assert {edge.target for edge in edges} <= there
    assert not {edge.source for edge in edges} & there


def test_nothing_of_another_model_is_seen(api, client, database):
    """Two models share a snapshot; the one who may read one of them learns of one."""
    snapshot = f"sha256:{'5' * 64}"
    with database.writing() as session:
        for name in ("flights", "secret"):
            model_id = _model(session, database, name)
            version = [("snapshot", snapshot)]
            add_edges(session, version, ("version", f"{name}/1"), START, model_id=model_id)
        segment = [("segment", f"sha256:{'6' * 64}")]
        add_edges(session, segment, ("snapshot", snapshot), START, model_id=model_id)
        add_edges(session, [("version", "secret/1")], ("decision", "9"), START, model_id=model_id)
    limited = client.tokens.create("bob", models=["flights"])
    with api.client(limited.token) as bob:
        found = bob.lineage.of(f"snapshot:{snapshot}")
        assert kinds(found, "version") == {"flights/1"}
        assert kinds(found, "segment") == set()
        assert found.hidden == 2
        assert "secret" not in found.model_dump_json()
        for thing in ("secret/1", "secret", f"segment:sha256:{'6' * 64}", "decision:9"):
            with pytest.raises(NotFoundError):
                bob.lineage.of(thing)
    everything = client.lineage.of(f"snapshot:{snapshot}")
    assert kinds(everything, "version") == {"flights/1", "secret/1"}
    assert everything.hidden == 0


def test_an_arrow_that_may_be_seen_is_found_behind_many_that_may_not(api, client, database):
    snapshot = f"sha256:{'5' * 64}"
    with database.writing() as session:
        others = _model(session, database, "secret")
        for number in range(300):
            arrow = ("decision", str(number))
            add_edges(session, [("snapshot", snapshot)], arrow, START, model_id=others)
            add_edges(session, [arrow], ("run", "7"), START, model_id=others)
        mine = _model(session, database, "flights")
        for thing in (("snapshot", snapshot), ("run", "7")):
            add_edges(session, [thing], ("version", "flights/1"), START, model_id=mine)
    with api.client(client.tokens.create("bob", models=["flights"]).token) as bob:
        for thing in (f"snapshot:{snapshot}", "run:7"):
            found = bob.lineage.of(thing)
            assert kinds(found, "version") == {"flights/1"}
            assert "secret" not in found.model_dump_json()


def test_the_beginning_of_a_digest_names_what_one_may_see(api, client, database):
    digests = [f"sha256:abcdef{end}{'0' * 57}" for end in "123"]
    with database.writing() as session:
        models = [_model(session, database, name) for name in ("flights", "fraud")]
        for digest, model_id, name in zip(digests, (*models, models[0]), "abc", strict=True):
            arrow = ("decision", f"{ord(name)}")
            add_edges(session, [("snapshot", digest)], arrow, START, model_id=model_id)
    assert client.lineage.of("snapshot:abcdef1").start == (f"snapshot:{digests[0]}",)
    assert client.lineage.of("snapshot:sha256:abcdef2").start == (f"snapshot:{digests[1]}",)
    with api.client(client.tokens.create("bob", models=["flights"]).token) as bob:
        with pytest.raises(InvalidError) as several:
            bob.lineage.of("snapshot:abcdef")
        assert several.value.code == "ambiguous_digest"
        assert digests[0] in str(several.value)
        assert digests[2] in str(several.value)
        assert digests[1] not in str(several.value), "bob may not know of it"
        with pytest.raises(NotFoundError):
            bob.lineage.of("snapshot:abcdef2")
        with pytest.raises(NotFoundError):
            bob.lineage.of("segment:abcdef1")


def _model(session, database, name):
    make_models(database, name, versions=1)
    return session.execute(text("SELECT id FROM model WHERE name = :n"), {"n": name}).scalar_one()


def test_a_deleted_version_and_what_lies_behind_it_is_counted(client, database):
    make_models(database, versions=3)
    with database.writing() as session:
        model_id = session.execute(text("SELECT id FROM model")).scalar_one()
        for number in (2, 3):
            parent = [("version", f"flights/{number - 1}")]
            add_edges(session, parent, ("version", f"flights/{number}"), START, model_id=model_id)
        session.execute(text("UPDATE version SET deleted_at = now() WHERE number = 2"))
    found = client.lineage.of("flights/3")
    assert (kinds(found, "version"), found.hidden) == ({"flights/3"}, 1)
    with pytest.raises(NotFoundError):
        client.lineage.of("flights/2")


def test_what_is_not_there_or_names_nothing(client, database):
    make_models(database, versions=1)
    assert kinds(client.lineage.of("flights"), "version") == {"flights/1"}
    for thing in ("nobody", "flights/9", "flights@champion", "run:7", f"segment:sha256:{'0' * 64}"):
        with pytest.raises(NotFoundError):
            client.lineage.of(thing)
    for thing in ("", "moon:1", "segment:12", "a/b/c"):
        with pytest.raises(InvalidError):
            client.lineage.of(thing)


def test_a_large_graph_is_walked_by_indexes_and_within_bounds(database):
    """Ten thousand versions on few snapshots, and a chain of a thousand parents."""
    seed_versions(database.url, 10_000)
    with database.writing() as session:
        name, model_id = session.execute(
            text("SELECT name, id FROM model ORDER BY last_version DESC LIMIT 1")
        ).one()
        session.execute(
            text(
                "INSERT INTO lineage_edge (source_kind, source, target_kind, target, model_id,"
                " created_at) SELECT 'version', :m || '/' || n, 'version', :m || '/' || n + 1,"
                " :id, now() FROM generate_series(1, 999) AS n ON CONFLICT DO NOTHING"
            ),
            {"m": name, "id": model_id},
        )
    with database.reading() as session:
        session.execute(text("SELECT 1"))
        started = time.monotonic()
        found = trace(session, Question(f"{name}/900"), caller=PERSON)
        seconds = time.monotonic() - started
    assert Node("version", f"{name}/899") in found.graph.nodes
    assert len(found.graph.nodes) <= 1000
    assert found.graph.truncated, "fifty steps are not enough for nine hundred parents"
    assert seconds < 2.0, "seconds, on a busy machine; tens of milliseconds on a quiet one"
