"""Lineage told to the world: events that OpenLineage's own client writes, each at least once."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde
from sqlalchemy import text

from mlreg.controller.api import lineage as routes
from mlreg.controller.services import lineage_chore
from mlreg.controller.services.chore import ChoreRoom, ChoreSettings
from mlreg.controller.services.lineage_export import export_lineage
from mlreg.controller.services.lineage_sinks import (
    FileSink,
    HttpSink,
    LineageSettings,
    SinkError,
)
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.lineage import add_edges
from tests.api.test_runs import TODAY, run_cli
from tests.makers import PERSON, START, make_models
from tests.run_makers import (
    DAY,
    ask,
    await_end,
    log_stream,
    make_model,
    promote_by_hand,
    specification,
    worker,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def extra_routers():
    return (routes.router,)


class Receiver:
    """An OpenLineage receiver that fails when it is told to."""

    def __init__(self):
        self.events, self.paths, self.keys, self.broken = [], set(), set(), False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.broken:
                    self.send_response(500)
                else:
                    outer.events.append(json.loads(body))
                    outer.paths.add(self.path)
                    outer.keys.add(self.headers["Authorization"])
                    self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def two_versions(database):
    """Version 1 by hand from a snapshot, version 2 from it; nothing else."""
    snapshot = f"sha256:{'5' * 64}"
    make_models(database, versions=2)
    with database.writing() as session:
        model_id = session.execute(text("SELECT id FROM model")).scalar_one()
        for number, source in ((1, ("snapshot", snapshot)), (2, ("version", "flights/1"))):
            at = START + number * timedelta(hours=1)
            add_edges(session, [source], ("version", f"flights/{number}"), at, model_id=model_id)
    return model_id


@pytest.fixture
def runs(database, store, tmp_path):
    """A run whose version was promoted, and one that failed."""
    clock = SystemClock()
    log_stream(database, make_model(database), TODAY - 33 * DAY, 32)
    git = {"commit": "c" * 40, "dirty": False, "remote": "https://git.example/flights"}
    rule = specification().retrain.model_copy(update={"params": {"no_such_parameter": 1}})
    with worker(database, store, clock, tmp_path / "work"):
        run = await_end(database, ask(database, now=clock.now(), git=git))
        failed = await_end(database, ask(database, now=clock.now(), retrain=rule))
    assert (run.state, failed.state) == ("succeeded", "failed")
    promote_by_hand(database, 1, now=clock.now(), actor=PERSON)
    return run, failed


def test_real_runs_are_told_with_their_facets(api, client, database, runs, tmp_path):
    path = tmp_path / "events.jsonl"
    sent = export_lineage(database, FileSink(path), NOW)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(events) == sent
    assert path.stat().st_mode & 0o777 == 0o600
    by_job = {}
    for event in events:
        by_job.setdefault(event["job"]["name"], []).append(event)
        assert {"eventTime", "producer", "schemaURL", "run", "job"} <= event.keys()
        assert event["schemaURL"].startswith("https://openlineage.io/spec/2-0-2/")
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    places = ("freeze", "train", "judge", "deploy.production")
    assert by_job.keys() == {f"flights.{place}" for place in places}
    check_training(by_job["flights.train"], runs[0])
    check_judging(by_job["flights.judge"])
    frozen = by_job["flights.freeze"][0]
    assert frozen["inputs"][0]["inputFacets"]["dataQualityMetrics"]["rowCount"] > 0
    [deployed] = by_job["flights.deploy.production"]
    assert deployed["outputs"][0]["name"] == "flights:production"
    assert deployed["outputs"][0]["facets"]["version"]["datasetVersion"] == "1"

    asked = client.lineage.events("flights/1")
    assert {id_of(event) for event in asked} < {id_of(event) for event in events}
    written = tmp_path / "asked.jsonl"
    words = ("lineage", "flights/1", "--format", "openlineage", "--output", written)
    done = run_cli(api, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in written.read_text().splitlines()] == asked
    assert run_cli(api, tmp_path, *words).returncode == 2, "a file is not written over"


def id_of(event):
    return event["run"]["runId"]


def check_training(events, run):
    start, complete = (event for event in events if id_of(event) == id_of(events[0]))
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert complete["outputs"][0]["name"] == "flights/1"
    fields = complete["outputs"][0]["facets"]["schema"]["fields"]
    assert [field["name"] for field in fields] == ["temp", "hour", "carrier", "rain"]
    assert complete["inputs"][0]["name"] == f"snapshot/{run.snapshot}"
    source = complete["job"]["facets"]["sourceCodeLocation"]
    assert (source["version"], source["url"]) == ("c" * 40, "https://git.example/flights")
    facets = complete["run"]["facets"]
    assert facets["processing_engine"]["name"] == "lightgbm"
    parameter = {"key": "num_leaves", "name": "num_leaves", "value": "7"}
    assert parameter in facets["executionParameters"]["parameters"]
    [fail] = [event for event in events if event["eventType"] == "FAIL"]
    assert "no_such_parameter" in fail["run"]["facets"]["errorMessage"]["message"]


def check_judging(events):
    [judged] = events
    challenger = next(one for one in judged["inputs"] if one["name"] == "flights/1")
    gates = challenger["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [one["assertion"] for one in gates][-1] == "verdict"
    assert all(one["success"] for one in gates), gates


def test_every_event_is_one_that_the_library_can_write(database, tmp_path):
    """Read back into the library's own class and written again, nothing is lost."""
    two_versions(database)
    path = tmp_path / "events.jsonl"
    assert export_lineage(database, FileSink(path), NOW) == 2
    for line in path.read_text().splitlines():
        event = json.loads(line)
        known = {key: value for key, value in event.items() if key != "schemaURL"}
        assert json.loads(Serde.to_json(RunEvent(**known))) == event


def test_at_least_once_whatever_the_receiver_does(database, receiver):
    model_id = two_versions(database)
    sink = HttpSink(receiver.url, "secret-key")
    receiver.broken = True
    with pytest.raises(SinkError):
        export_lineage(database, sink, NOW)
    receiver.broken = False
    assert export_lineage(database, sink, NOW) == 2
    assert export_lineage(database, sink, NOW) == 0
    assert receiver.paths == {"/api/v1/lineage"}
    assert receiver.keys == {"Bearer secret-key"}
    first = {event["run"]["runId"] for event in receiver.events}
    with database.writing() as session:
        session.execute(text("UPDATE lineage_edge SET exported_at = NULL"))
        parent = [("version", "flights/1")]
        add_edges(session, parent, ("version", "flights/3"), START, model_id=model_id)
    assert export_lineage(database, sink, NOW) == 2, "version 3 is not there: nothing is told of it"
    assert {event["run"]["runId"] for event in receiver.events} == first
    with database.reading() as session:
        waiting = text("SELECT count(*) FROM lineage_edge WHERE exported_at IS NULL")
        assert session.execute(waiting).scalar_one() == 0


def test_an_open_run_waits_for_its_end(database, tmp_path):
    model = make_model(database)
    number = ask(database, now=NOW)
    with database.writing() as session:
        source = [("snapshot", f"sha256:{'5' * 64}")]
        add_edges(session, source, ("run", str(number)), NOW, model_id=model.id)
    path = tmp_path / "events.jsonl"
    assert export_lineage(database, FileSink(path), NOW) == 0
    with database.writing() as session:
        session.execute(text("UPDATE run SET state = 'dead', error = 'worker gone'"))
    assert export_lineage(database, FileSink(path), NOW) == 2
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["eventType"] == "FAIL"


def test_the_chore_says_that_nobody_wants_any_and_is_then_passed_by(database, store, tmp_path):
    two_versions(database)
    with database.reading() as session:
        assert lineage_chore.EXPORT.need(session) == "something"
    room = ChoreRoom(database, store, NOW)
    assert lineage_chore.EXPORT.run(room).startswith("off: ")
    with database.writing() as session:
        session.execute(
            text("INSERT INTO chore VALUES (:n, now(), :o)"),
            {"n": lineage_chore.NAME, "o": lineage_chore.OFF},
        )
    with database.reading() as session:
        assert lineage_chore.EXPORT.need(session) == "nothing"
    settings = ChoreSettings(lineage=LineageSettings(file=tmp_path / "out.jsonl"))
    room = ChoreRoom(database, store, NOW, settings)
    assert lineage_chore.EXPORT.run(room) == "2 events sent"
    bad = ChoreSettings(lineage=LineageSettings(file=tmp_path / "no" / "folder"))
    with database.writing() as session:
        session.execute(text("UPDATE lineage_edge SET exported_at = NULL"))
    with pytest.raises(SinkError, match="No such file"):
        lineage_chore.EXPORT.run(ChoreRoom(database, store, NOW, bad))
