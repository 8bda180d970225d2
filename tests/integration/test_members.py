"""Who is there: members come, are shown, age and go; labels; and jobs that nobody can take."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from mlreg.controller.api import members as member_routes
from mlreg.controller.api import runs as run_routes
from mlreg.controller.domain.stranded import Wanted, Worker, why_stranded
from mlreg.controller.services import claims, leadership, stranding
from mlreg.controller.services.members import list_controllers, list_workers
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.services.presence import Introduction, Presence
from mlreg.controller.services.retraining import Options, find_place, request_retrain
from mlreg.controller.store.tables import Incident
from tests.faults.workers import await_true, enqueue
from tests.feedback_makers import make_model
from tests.integration.test_leadership import end_its_time
from tests.makers import PERSON, START
from tests.run_makers import FixedClock

GPU = """
model: flights
triggers: [{schedule: "0 3 * * *"}]
retrain: {worker: gpu}
"""


@pytest.fixture
def extra_routers():
    return (member_routes.router, run_routes.router)


@contextmanager
def there(database, name, role="worker", *, labels=(), kinds=("train",), beat_seconds=5.0):
    who = Introduction(name, role, tuple(labels), tuple(kinds))
    with Presence(database, who, beat_seconds) as presence:
        await_true(lambda: name in names(database, role))
        yield presence


def names(database, role="worker"):
    ask = list_workers if role == "worker" else list_controllers
    with database.reading() as session:
        return {one.name: one for one in ask(session)}


def take(database, name, *labels, declined=()):
    return claims.claim(database, name, ["train"], 30.0, labels=labels, declined=declined)


def ask_for_gpu(database):
    make_model(database)
    with database.writing() as session:
        apply_policy(session, GPU, git=None, actor=PERSON, now=START)
        place = find_place(session, "flights", "production")
        view = request_retrain(session, place, Options(), lane="full", actor=PERSON, now=START)
        return view.run.id


def test_a_labelled_job_goes_to_a_worker_of_that_label_alone(database):
    plain = enqueue(database, "train", priority=200)
    gpu = enqueue(database, "train", label="gpu")
    assert take(database, "b", "cpu", "big").job_id == plain
    assert take(database, "b", "cpu", "big") is None
    assert take(database, "g", "gpu", declined=[gpu]) is None
    assert take(database, "g", "big", "gpu").job_id == gpu


def test_members_come_age_and_go(database):
    with there(database, "host-a:1-x", labels=["gpu"], beat_seconds=0.1):
        job_id = enqueue(database, "train")
        take(database, "host-a:1-x")
        found = names(database)["host-a:1-x"]
        assert (found.host, found.there, found.labels) == ("host-a", True, ["gpu"])
        assert found.doing == [f"train {job_id}"]
        seen = found.seen_at
        await_true(lambda: names(database)["host-a:1-x"].seen_at > seen)
    assert names(database) == {}
    with database.writing() as session:
        session.execute(
            text(
                "INSERT INTO member SELECT 'killed', 'worker', 'h', '0', '[]', '[]', '[]',"
                " now(), now(), now() - interval '10 minutes'"
            )
        )
    assert not names(database)["killed"].there
    with database.writing() as session:
        session.execute(text("UPDATE member SET until = now() - interval '2 hours'"))
    with there(database, "next"):
        assert set(names(database)) == {"next"}


def test_of_the_controllers_that_are_there_one_leads(database):
    with there(database, "a", "controller", kinds=()), there(database, "b", "controller", kinds=()):
        assert not any(one.leads for one in names(database, "controller").values())
        leadership.take_leadership(database, "b", ttl_seconds=60)
        found = names(database, "controller")
        assert (found["a"].leads, found["b"].leads, found["b"].epoch) == (False, True, 1)
        end_its_time(database)
        assert not names(database, "controller")["b"].leads


@pytest.mark.parametrize(
    ("workers", "why"),
    [
        ([], "no worker is there"),
        ([Worker(kinds=frozenset({"train"}))], "no worker with label 'gpu' is there"),
        ([Worker(frozenset({"gpu"}))], "knows jobs of kind 'train'"),
        ([Worker(frozenset({"gpu"}), frozenset({"train"}), frozenset({7}))], "of an older mlreg"),
        ([Worker(), Worker(frozenset({"gpu", "x"}), frozenset({"train"}))], None),
    ],
)
def test_why_nobody_takes_a_job(workers, why):
    said = why_stranded(workers, Wanted(7, "train", "gpu"))
    assert said is None if why is None else why in said


def test_what_nobody_can_take_is_told_once_and_over_once_somebody_can(database):
    run_id = ask_for_gpu(database)

    def look():
        stranding.look(database, now=START, after_seconds=0.0)
        with database.reading() as session:
            return [
                (one.kind, one.state, one.title)
                for one in session.exec(Incident.__table__.select()).all()
            ]

    with there(database, "cpu-1", labels=["cpu"]):
        stranding.Lookout(database).look(FixedClock(START))  # not yet: it waits since a moment ago
        title = "work is not done: no worker with label 'gpu' is there"
        assert look() == look() == [("stranded_job", "open", title)]
        with there(database, "gpu-1", labels=["gpu"]):
            assert look() == look() == [("stranded_job", "closed", title)]
        assert look() == [("stranded_job", "closed", title)]  # of one job it is told once
    assert run_id == 1


def test_it_is_said_by_the_api_and_on_the_command_line(api, client, database):
    run_id = ask_for_gpu(database)
    environ = {**os.environ, "MLREG_URL": api.url, "MLREG_TOKEN": api.token}

    def run_cli(*words):
        return subprocess.run(
            [sys.executable, "-m", "mlreg.cli", *words],
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    with (
        there(database, "host-b:7-aa", labels=["cpu"]),
        there(database, "host-a:9-bb", "controller"),
    ):
        leadership.take_leadership(database, "host-a:9-bb")
        assert "no worker with label 'gpu'" in client.runs.get(run_id).waits_for
        [run] = client.runs.list().items
        assert run.waits_for == client.runs.get(run_id).waits_for
        [leader] = client.members.controllers()
        assert (leader.name, leader.leads, leader.epoch) == ("host-a:9-bb", True, 1)
        [worker] = client.members.workers()
        assert (worker.host, worker.labels, worker.doing) == ("host-b", ["cpu"], [])
        listed = " ".join(run_cli("run", "list").split())
        assert "no worker with label" in listed
        shown = run_cli("status", "--controllers", "--workers")
        assert "leads (epoch 1)" in shown
        assert "idle" in shown
        assert max(map(len, shown.splitlines())) <= 80
