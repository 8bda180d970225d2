"""A replay of the policy that really ran: the same runs at the same moments, the same models."""

import json

import pytest

from mlreg.controller.domain.backtest import Terms, Wanted
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import logged_rows
from mlreg.controller.services.backtest_history import History
from mlreg.controller.services.backtest_world import ReplayedWorld
from mlreg.controller.services.handlers import HANDLERS
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.run_folder import find_source, place_model
from mlreg.controller.store import tables
from mlreg.registry.services import catalog
from tests.automation_makers import DAY, START, Automation
from tests.run_makers import ask, executor_of_all

FIRST, SHIFTED, DAYS = 9, 16, 24
POLICY = {
    "model": "flights",
    "data": {"train_window": "6d", "evaluate_window": "2d", "label_delay": "1d"},
    "triggers": [{"labelled_rows": 1_100}, {"drift": "psi", "above": 1.0}],
    "cooldown": "1h",
    "gates": [{"champion": "log_loss", "margin": 0.2}],
    "retrain": {"rounds": 5, "lanes": {"refit": {}, "full": {"every": "9d"}}},
}


@pytest.fixture
def automation(database, store, tmp_path):
    """A model without a champion, and a worker that does every kind of job."""
    automation = Automation(database, store, policy="", promoted=False)
    automation.folder, automation.executor = tmp_path / "work", executor_of_all()
    only = automation.work
    automation.work = lambda: only(*HANDLERS.items())
    return automation


def live(automation, days):
    """Log days, and let everything happen that is due at the end of each."""
    for number in days:
        day = START + number * DAY
        automation.log(day, shift=9.0 if number >= SHIFTED else 0.0)
        automation.pass_to(day + DAY)


def run_by_hand(automation, policy, at):
    """Train the first version, and promote it."""
    options = {"data": policy.data, "retrain": policy.retrain}
    ask(automation.database, now=at, **options)
    automation.work()
    number = automation.all(tables.Run)[0].version
    automation.promote(number, at)


@pytest.mark.nightly
def test_the_policy_that_ran_is_replayed_as_it_ran(automation, store, tmp_path):
    live(automation, range(FIRST))
    policy, begun = parse_policy(json.dumps(POLICY)), START + FIRST * DAY
    run_by_hand(automation, policy, begun)
    automation.apply(json.dumps(POLICY))
    live(automation, range(FIRST, DAYS))
    first, *ran = automation.all(tables.Run)
    (tmp_path / "models").mkdir()
    world = ReplayedWorld(history_of(automation, first.version), tmp_path / "models")
    made = world.train(Wanted(begun, "full", policy, None))
    span = Interval(begun, START + DAYS * DAY)
    course = replay(policy, world, made, (span, DAY), Terms(gates=True))

    assert {one.lane for one in ran} == {"refit", "full"}
    assert {one.cause for one in ran} == {"labelled_rows", "drift"}
    assert [(one.at, one.lane, ", ".join(one.causes)) for one in course.runs] == [
        (one.created_at, one.lane, one.cause) for one in ran
    ]
    trained = [made, *(run.made for run in course.runs)]
    for replayed, one in zip(trained, [first, *ran], strict=True):
        written = (tmp_path / "models" / replayed.key / "model.txt").read_bytes()
        assert trees_of(written) == trees_of(model_of(automation, store, one.version, tmp_path))


def trees_of(model):
    """A model file without its parameters, of which the number of threads is one."""
    return model.partition(b"\nparameters:")[0]


def history_of(automation, number):
    """The rows that were logged, by the contract of a version."""
    whole = Interval(START, START + DAYS * DAY)
    with automation.database.reading() as session:
        model = catalog.get_model(session, "flights")
        body = logged_rows.select_rows(session, model, whole, whole.end)
        contract = catalog.find_feature_contract(
            session, catalog.get_version(session, model, number)
        )
    table = logged_rows.read_rows(automation.store, body)
    return History.of(table, catalog.target_contract_of(model), contract)


def model_of(automation, store, number, folder):
    """The bytes of a version's model file."""
    with automation.database.reading() as session:
        model = catalog.get_model(session, "flights")
        source = find_source(session, catalog.get_version(session, model, number))
    place_model(store, source, folder / f"v{number}", "model")
    return (folder / f"v{number}" / "model" / "model.txt").read_bytes()
