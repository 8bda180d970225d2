"""Two concepts take turns: when the first is back, the first version comes back, untrained."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlmodel import select

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.remembering import MemoryRule
from mlreg.controller.services import decisions, feedback
from mlreg.controller.store.tables import VersionMetrics
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.store.tables import Version
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    make_model,
    promote_by_hand,
    stream,
    worker,
)

NOW = START + 32 * DAY
DATA = DataRule(train_window=10 * DAY, evaluate_window=10 * DAY, label_delay=DAY)


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def at_work(database, clock, tmp_path):
    with worker(database, FolderStore(tmp_path / "store"), clock, tmp_path / "work"):
        yield


def log_concept(database, model, start, days, *, turned):
    """Log days of a concept; `turned` is the other one: what was 0 is 1."""
    predictions, labels = stream(start, days)
    if turned:
        values = pc.subtract(pa.scalar(1.0), labels["label"])
        labels = labels.set_column(labels.column_names.index("label"), "label", values)
    with database.writing() as session:
        for kind, rows in (("predictions", predictions), ("labels", labels)):
            feedback.accept(
                session, model, kind, f"{kind}-{start:%Y%m%d}", rows, now=start + days * DAY
            )


def retrained(database, clock, moment, **options):
    clock.moment = moment
    return await_end(database, ask(database, now=moment, data=DATA, **options))


@pytest.mark.usefixtures("at_work")
def test_the_version_of_a_concept_comes_back_with_it(database, model, clock):
    log_concept(database, model, START, 31, turned=False)
    first = retrained(database, clock, NOW)
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)

    log_concept(database, model, START + 31 * DAY, 30, turned=True)
    second = retrained(database, clock, NOW + 30 * DAY, memory=MemoryRule())
    lines = log_of(database, second.id)
    assert "no older version can be looked at: it trains" in lines
    assert (second.version, second.lane) == (2, "full")
    promote_by_hand(database, 2, now=clock.moment, actor=PERSON)

    log_concept(database, model, START + 61 * DAY, 20, turned=False)
    third = retrained(database, clock, NOW + 50 * DAY, memory=MemoryRule(), auto_promote=True)
    lines = log_of(database, third.id)
    assert third.state == "succeeded", lines
    assert "version 1 comes back: nothing is trained" in lines
    assert (third.version, third.lane, third.train_seconds) == (1, "recall", 0.0)
    with database.reading() as session:
        decision = decisions.get_decision(session, third.decision_id)
        versions = session.exec(select(Version)).all()
        measured = session.exec(select(VersionMetrics)).all()
    assert (decision.challenger, decision.champion, decision.verdict) == (1, 2, "accepted")
    assert decision.evidence["rows"] == 5 * 200, "the half that did not help to find it"
    assert len(versions) == 2
    assert {one.version for one in measured} == {1, 2}

    log_concept(database, model, START + 81 * DAY, 20, turned=True)
    fourth = retrained(database, clock, NOW + 70 * DAY, memory=MemoryRule(), lane="refit")
    lines = log_of(database, fourth.id)
    assert "no older version does better than the champion: it trains" in lines
    assert fourth.version == 3


@pytest.mark.usefixtures("at_work")
def test_no_older_version_is_what_a_model_iteration_wants(database, model, clock):
    log_concept(database, model, START, 31, turned=False)
    first = retrained(database, clock, NOW)
    promote_by_hand(database, first.version, now=NOW, actor=PERSON)
    hashed = RetrainRule(steps=[{"hashed": ["carrier"]}], rounds=5)
    second = retrained(database, clock, NOW, memory=MemoryRule(), retrain=hashed)
    assert second.version == 2
    said = "no older version is looked at, this is a model iteration: another feature contract"
    assert any(line.startswith(said) for line in log_of(database, second.id))
