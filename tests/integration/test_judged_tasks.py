"""Models of several classes and rankings: from their log to a verdict, and a promotion."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import softmax

from mlreg.controller.services import decisions, feedback, runs
from mlreg.controller.services.policies import apply_policy
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model, get_model
from tests.makers import PERSON
from tests.run_makers import DAY, START, FixedClock, await_end, deployment, log_of, worker

MOMENT = pa.timestamp("us", tz="UTC")
POLICY = """
model: flights
data: {train_window: 8d, evaluate_window: 8d, label_delay: 1d}
triggers: [{schedule: "0 3 1 1 *"}]
retrain:
  rounds: 20
  params: {num_leaves: 7, min_data_in_leaf: 20}
  lanes: {full: {}}
"""
PERIOD = 17 * DAY


@pytest.fixture
def clock():
    return FixedClock(START + PERIOD)


@pytest.fixture
def at_work(database, clock, tmp_path):
    with worker(database, FolderStore(tmp_path / "store"), clock, tmp_path / "work"):
        yield


def make(database, features, **target):
    """Create a model of a task, and put a policy without gates of its own in force."""
    contract = TargetContract.from_json({"max_label_delay_seconds": 86_400, **target})
    schema = FeatureSchema.from_json([{"name": name, "dtype": kind} for name, kind in features])
    wanted = ModelSpecification("flights", contract, schema)
    with database.writing() as session:
        model = create_model(session, wanted, actor=SYSTEM, now=START)
        apply_policy(session, POLICY, git=None, actor=PERSON, now=START)
    return model


def log(database, model, start, columns, labels):
    """Log 17 days of rows with their labels; rows are evenly spread."""
    count = len(labels)
    ids = [f"{start:%m%d}-{number}" for number in range(count)]
    times = [start + number * PERIOD / count for number in range(count)]
    predictions = {"prediction_id": ids, "time": pa.array(times, MOMENT), **columns}
    later = pa.array([time + timedelta(hours=1) for time in times], MOMENT)
    come = {"prediction_id": ids, "time": later, "label": labels}
    with database.writing() as session:
        for kind, rows in (("predictions", predictions), ("labels", come)):
            batch = f"{kind}-{start:%m%d}"
            now = start + PERIOD + timedelta(hours=2)
            feedback.accept(session, model, kind, batch, pa.table(rows), now=now)


def run_by_policy(database, now):
    """Have a challenger trained and judged as the policy says; return the run and its decision."""
    with database.writing() as session:
        model = get_model(session, "flights")
        asked = runs.request_run(
            session,
            model=model,
            environment="production",
            lane="full",
            cause="schedule",
            actor=SYSTEM,
            now=now,
            specification=runs.specification_of_policy(session, 1),
        ).id
    run = await_end(database, asked)
    assert run.state == "succeeded", log_of(database, asked)
    with database.reading() as session:
        return run, decisions.get_decision(session, run.decision_id)


def learnt_then_lost(database, clock, log_period):
    """Train on what can be learnt, then on labels that say nothing; return both decisions."""
    log_period(START, lost=False)
    first, accepted = run_by_policy(database, clock.moment)
    assert accepted.verdict == "accepted", accepted.evidence["reason"]
    assert deployment(database).champion == first.version
    log_period(START + PERIOD, lost=True)
    clock.moment = START + 2 * PERIOD
    _, rejected = run_by_policy(database, clock.moment)
    assert rejected.verdict == "rejected", rejected.evidence["reason"]
    assert deployment(database).champion == first.version
    return accepted.evidence, rejected.evidence


def trained_part(count):
    """Return which rows of a period a challenger is trained on."""
    return np.arange(count) < count // 2


@pytest.mark.usefixtures("at_work")
def test_a_model_of_several_classes(database, clock):
    fields = {"task": "multiclass", "classes": ["cat", "dog", "fox"]}
    model = make(database, [("size", "float"), ("noise", "float")], **fields)

    def log_period(start, *, lost):
        rng = np.random.default_rng(start.toordinal())
        size = rng.normal(0, 2, 2_400)
        chances = softmax(np.stack([-size, 0 * size, size], axis=1), axis=1)
        told = np.where((trained_part(2_400) & lost)[:, None], 1 / 3, chances)
        labels = (rng.random((2_400, 1)) > told.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        columns = {"size": size, "noise": rng.random(2_400)}
        columns["scores"] = pa.array(rng.dirichlet([1, 1, 1], 2_400).tolist())
        log(database, model, start, columns, labels.astype(float))

    accepted, rejected = learnt_then_lost(database, clock, log_period)
    assert accepted["task"] == "multiclass"
    assert set(accepted["classes"]) == {"cat", "dog", "fox"}
    assert len(accepted["prior"]["value"]) == 3
    assert accepted["metrics"]["challenger"]["macro_auc"] > 0.7
    gain = rejected["gates"][0]["evidence"]["gains"]["champion"]
    assert gain["upper"] < -0.001


@pytest.mark.usefixtures("at_work")
def test_a_ranking(database, clock):
    features = [("worth", "float"), ("noise", "float"), ("search", "int")]
    model = make(database, features, task="ranking", group_key="search")

    def log_period(start, *, lost):
        rng = np.random.default_rng(start.toordinal())
        count = 3_000
        search = np.arange(count) // 6 + start.toordinal() * count
        worth = rng.normal(0, 1, count)
        told = np.where(trained_part(count) & lost, rng.normal(0, 1, count), worth)
        labels = np.clip(np.round(told + rng.normal(0, 0.5, count)), 0, 3)
        columns = {"worth": worth, "noise": rng.random(count), "search": search}
        log(database, model, start, {"score": rng.random(count), **columns}, labels)

    accepted, rejected = learnt_then_lost(database, clock, log_period)
    assert accepted["task"] == "ranking"
    assert 0 < accepted["groups"] <= 500
    metrics = accepted["metrics"]
    assert set(metrics["challenger"]) == {"ndcg", "map", "mrr"}
    assert metrics["challenger"]["ndcg"] > metrics["prior"]["ndcg"] + 0.1
    assert "worse than the champion" in rejected["reason"]
