"""Guards: the previous champion, shadow-scored on the same rows, takes over when it is better."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlmodel import select

from mlreg.controller.executors.executor import ChildResult, Executor
from mlreg.controller.services import incidents
from mlreg.controller.store import tables as controller_tables
from mlreg.registry.services import audit, deployments, uploads
from mlreg.registry.store import tables
from mlreg.registry.store.deployments import list_all_barred
from tests.automation_makers import DAY, HOUR, START, Automation
from tests.makers import PERSON

POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 5d, label_delay: 1d}
triggers: [{schedule: "0 3 1 1 *"}]
cooldown: 12h
guards: [{metric: log_loss, worse_than_champion: 0.01, watch: 10d}]
"""


class GoodScorer:
    """An executor whose child scores as a good model would: by the temperature."""

    def __init__(self):
        self.scored = 0

    def run(self, task, halt):
        job = json.loads((task.folder / "job.json").read_text())
        rows = pq.read_table(task.folder / job["data"][0])
        assert (task.folder / job["models"][0]["model"]).read_bytes()
        temp = rows["temp"].to_numpy()
        scores = np.clip(1 / (1 + np.exp(-(temp - 20) / 8)), 0.01, 0.99)
        pq.write_table(pa.table({"previous": scores}), task.folder / "scores.parquet")
        (task.folder / "result.json").write_text(json.dumps({"outcome": "scored"}))
        assert not halt.is_set()
        self.scored += rows.num_rows
        return ChildResult(0, None, 0.1, 0.1, 1)

    def close(self):
        """Nothing is held."""


_PROOF: type[Executor] = GoodScorer


@pytest.fixture
def automation(database, store, tmp_path):
    automation = Automation(database, store, policy=POLICY)
    automation.add_version(2)
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "model.txt").write_text("a model")
    (folder / "contract.json").write_text("{}")
    with database.writing() as session:
        manifest = uploads.store_folder(session, store, folder, now=START)
        row = tables.Manifest(
            digest=manifest.digest, body=manifest.body, total_size=1, created_at=START
        )
        session.add(row)
        session.flush()
        for number in (1, 2):
            version = session.get(tables.Version, (automation.model.id, number))
            version.manifest_digest = manifest.digest
    automation.executor, automation.folder = GoodScorer(), tmp_path / "work"
    return automation


def live(automation):
    with automation.database.reading() as session:
        return deployments.get_deployment(session, "flights", "production")


def replay(automation, days, *, quality, first=0):
    for number in range(first, first + days):
        automation.log(START + number * DAY, version=2, quality=quality, seed=number)
        automation.pass_to(START + (number + 1) * DAY)


def test_a_bad_model_is_rolled_back_barred_and_reported(automation):
    automation.promote(2, START)
    replay(automation, 6, quality=0.0)
    state = live(automation)
    assert state.champion == 1
    assert not state.frozen
    (revision,) = [one for one in automation.all(tables.Revision) if one.cause == "guard"]
    assert revision.actor == "guard:log_loss"
    assert START + 3 * DAY <= revision.at <= START + 5 * DAY
    assert state.cooldown_until == revision.at + 12 * HOUR
    with automation.database.reading() as session:
        assert list_all_barred(session, [state.deployment_id]) == {state.deployment_id: [2]}
        (story,) = incidents.list_incidents(session, model="flights")
        story = incidents.get_incident(session, story.incident.id)
        assert audit.verify(session).first_bad is None
    assert story.incident.kind == "guard"
    evidence = story.entries[0].evidence
    assert evidence["lower"] > 0
    assert evidence["first_bad_window"] == "2013-07-01"
    assert "rolled back to version 1" in incidents.report_incident(story)


def test_a_model_as_good_as_the_last_one_stays_and_each_day_is_scored_once(automation):
    automation.promote(2, START)
    replay(automation, 8, quality=1.0)
    assert live(automation).champion == 2
    assert automation.executor.scored == 7 * 480  # the last day's labels are not mature
    assert automation.all(controller_tables.Incident) == []


def test_after_the_watch_the_guard_looks_no_more(automation):
    automation.promote(2, START)
    replay(automation, 14, quality=1.0)
    assert automation.executor.scored <= 11 * 480


def test_a_rollback_is_not_watched(automation):
    automation.promote(2, START)
    with automation.database.writing() as session:
        change = deployments.Change("flights", "production", PERSON, "because")
        deployments.rollback(session, change, now=START + HOUR)
    replay(automation, 4, quality=0.0)
    assert automation.executor.scored == 0


def test_a_frozen_deployment_is_left_to_people(automation):
    automation.promote(2, START)
    with automation.database.writing() as session:
        change = deployments.Change("flights", "production", PERSON, "because")
        deployments.freeze(session, change, now=START + HOUR)
    replay(automation, 6, quality=0.0)
    assert live(automation).champion == 2


def test_hours_of_an_outage_are_not_compared(automation):
    automation.promote(2, START)
    for number in range(5):
        broken = range(24) if number == 2 else ()
        automation.log(START + number * DAY, version=2, quality=1.0, seed=number, broken=broken)
        automation.pass_to(START + (number + 1) * DAY)
    assert automation.executor.scored == 3 * 480
    with automation.database.reading() as session:
        query = select(controller_tables.Reading).where(
            controller_tables.Reading.monitor == "guard_log_loss"
        )
        assert len(session.exec(query).all()) == 4
