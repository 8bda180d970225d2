"""Runs that begin with a version that somebody names."""

import pytest

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.services import retraining
from mlreg.controller.services.ancestry import trained_until
from mlreg.controller.services.retraining import LaneNeededError, Options
from mlreg.controller.services.training import CannotContinueError
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from mlreg.registry.services.chains import chain_of
from mlreg.registry.services.retirement import delete_version
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    worker,
)

NOW = START + 32 * DAY
RETRAIN = {"params": {"num_leaves": 7, "min_data_in_leaf": 20}, "rounds": 20}
DATA = {"train_window": "20d", "evaluate_window": "10d", "label_delay": "1d"}


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def at_work(database, clock, tmp_path):
    log_stream(database, make_model(database), START, 31)
    with worker(database, FolderStore(tmp_path / "store"), clock, tmp_path / "work"):
        yield


def asked(database, now, lane, number, **retrain):
    with database.writing() as session:
        place = retraining.find_place(session, "flights", "production")
        options = Options(DATA, {**RETRAIN, **retrain}, start_from=number)
        view = retraining.request_retrain(session, place, options, lane=lane, actor=PERSON, now=now)
        return view.run.id


def version(database, number):
    with database.reading() as session:
        return catalog.get_version(session, catalog.get_model(session, "flights"), number)


@pytest.mark.usefixtures("at_work")
def test_a_run_continues_the_version_that_was_named_and_not_the_champion(database, clock):
    first = await_end(database, ask(database, now=NOW))
    second = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, second.version, now=NOW, actor=PERSON)
    with database.reading() as session:
        model = catalog.get_model(session, "flights")
    log_stream(database, model, START + 31 * DAY, 20)
    clock.moment = NOW + 20 * DAY
    run = await_end(database, asked(database, clock.moment, "continue", first.version))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    assert (run.lane, run.parent) == ("continue", 1)
    assert "begins with version 1: step 1 of its chain" in lines
    assert "lane continue: it was asked for" in lines
    made = version(database, run.version)
    assert made.parent == 1
    assert made.seeds["run"] != version(database, 1).seeds["run"]
    deeper = await_end(database, asked(database, clock.moment, "continue", run.version))
    lines = log_of(database, deeper.id)
    assert "begins with version 3: step 2 of its chain" in lines
    assert version(database, deeper.version).seeds["run"] != made.seeds["run"]
    with database.reading() as session:
        chain = chain_of(session, model, version(database, deeper.version))
    assert [one.number for one in chain] == [1, 3, 4]
    with pytest.raises(LaneNeededError, match="only the lanes continue and refit"):
        asked(database, clock.moment, None, 1)
    with pytest.raises(CannotContinueError, match="the trainer was lightgbm"):
        asked(database, clock.moment, "continue", 1, trainer="command", command="other")
    with pytest.raises(catalog.VersionNotFoundError):
        asked(database, clock.moment, "refit", 99)


@pytest.mark.usefixtures("at_work")
def test_what_a_model_was_continued_from_does_not_judge_it_either(database):
    """A parent that is newer than the rows of its child: none of its rows may judge the child."""
    newer = await_end(database, ask(database, now=NOW))
    older = DataRule.model_validate({**DATA, "label_delay": "11d", "evaluate_window": "5d"})
    run = await_end(
        database, ask(database, now=NOW, lane="refit", data=older, start_from=newer.version)
    )
    assert run.state == "succeeded", log_of(database, run.id)
    parents_end = version(database, 1).train_end
    assert version(database, run.version).train_end < parents_end
    assert run.evaluate_snapshot is None, "all rows after its training were its parent's"
    with database.writing() as session:
        delete_version(session, "flights", 1, reason="a test", actor=PERSON, now=NOW)
    with database.reading() as session:
        model = catalog.get_model(session, "flights")
        child = version(database, run.version)
        assert [one.number for one in chain_of(session, model, child)] == [1, 2]
        seen = trained_until(session, model, child)
    assert seen == parents_end, "nor does it once its parent is deleted"
