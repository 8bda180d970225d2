"""A policy whose challenger is accepted, in a deployment that asks for approvals."""

from __future__ import annotations

import pytest
from sqlmodel import select

from mlreg.controller.services import policies
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services import approvals, audit, deployments
from mlreg.registry.services.approvals import Opinion
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import tables
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    deployment,
    log_of,
    log_stream,
    make_model,
    worker,
)

NOW = START + 32 * DAY
BEA = Actor("bea", "person", "approver")
CHANGE = Change("flights", "production", PERSON, "because")
POLICY = """
model: flights
data: {source: feedback, train_window: 20d, evaluate_window: 10d, label_delay: 1d}
triggers: [{schedule: "0 3 * * *"}]
retrain: {trainer: lightgbm, params: {objective: binary}, rounds: 10}
gates: [{baseline: prior, metric: log_loss}]
"""


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def waiting(database, store, tmp_path):
    """A run that was accepted and waits for one approval; its lines."""
    model = make_model(database)
    log_stream(database, model, START, 31)
    with database.writing() as session:
        deployments.protect(session, CHANGE, approvals=1, now=NOW)
        policies.apply_policy(session, POLICY, git=None, actor=PERSON, now=NOW)
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        run = await_end(database, ask(database, now=NOW, auto_promote=True))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    assert deployment(database).champion is None
    return lines


def approve(database):
    with database.writing() as session:
        change = Change("flights", "production", BEA)
        return approvals.give(session, change, Opinion(1, "approved"), now=NOW)


def test_the_run_says_that_it_waits_and_the_last_approval_promotes(database, waiting):
    assert any("waits to be promoted" in line and "mlreg approve" in line for line in waiting)
    with database.reading() as session:
        topics = session.exec(select(tables.OutboxMessage.topic)).all()
    assert "approval.requested" in topics
    assert approve(database).promoted.champion == 1
    with database.reading() as session:
        newest = session.exec(select(tables.Revision)).all()[-1]
        assert audit.verify(session).first_bad is None
    assert (newest.cause, newest.approvers, newest.champion) == ("policy", ["bea"], 1)
    assert newest.decision_id is not None


@pytest.mark.usefixtures("waiting")
def test_a_policy_that_is_disabled_waits_no_longer(database):
    with database.writing() as session:
        policies.set_enabled(session, "flights", "production", enabled=False, actor=PERSON, now=NOW)
    given = approve(database)
    assert (given.promoted, given.counted) == (None, 1)
    assert deployment(database).champion is None
