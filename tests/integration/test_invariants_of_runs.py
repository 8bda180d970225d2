"""A run does not train on rows that break what is declared of them."""

import pytest

from mlreg.controller.services import invariants, runs
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    get_run,
    log_of,
    log_stream,
    make_model,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture(autouse=True)
def at_work(database, tmp_path):
    make_model(database)
    store = FolderStore(tmp_path / "store")
    with worker(database, store, FixedClock(NOW), tmp_path / "work"):
        yield


def declare(database, *lines):
    text = "model: flights\ninvariants:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    with database.writing() as session:
        invariants.apply_invariants(session, text, actor=PERSON, now=NOW)


def log(database):
    with database.reading() as session:
        model = catalog.get_model(session, "flights")
    log_stream(database, model, START, 31)


def test_a_broken_invariant_ends_the_run_before_it_trains(database):
    log(database)
    declare(
        database,
        "name: warm, range: temp, above: 0",
        "name: carriers, in_set: carrier, values: [AA], severity: alert",
        "name: rain-known, not_null: rain",
    )
    run = await_end(database, ask(database, now=NOW))
    lines = log_of(database, run.id)
    assert (run.state, run.version, run.attempt) == ("failed", None, 1), lines
    assert "the training rows break warm (temp > 0): " in run.error
    assert "carriers" not in run.error
    assert any(line.startswith("warning: the training rows break carriers") for line in lines)
    assert not any("trained" in line for line in lines)


def test_what_is_only_to_be_told_is_a_line_in_the_log(database):
    log(database)
    declare(
        database,
        "name: warm, range: temp, above: 0, at_most: 0.05",
        "name: early, range: hour, max: 12, severity: alert",
        "name: carriers, in_set: carrier, values: [AA], severity: alert",
    )
    run = await_end(database, ask(database, now=NOW))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", lines
    warned = [line for line in lines if line.startswith("warning")]
    assert len(warned) == 2
    assert "carriers (carrier is one of AA): " in warned[1]
    assert "1 of 3 invariants hold (set 1)" in lines


def test_the_newest_declaration_counts_when_a_run_is_retried(database):
    log(database)
    declare(database, "name: warm, range: temp, above: 0")
    run = await_end(database, ask(database, now=NOW))
    assert run.state == "failed"
    declare(database, "name: warm, range: temp, above: 0, at_most: 0.1")
    with database.writing() as session:
        again = runs.retry_run(session, run.id, actor=PERSON, now=NOW).run.id
    ended = await_end(database, again)
    assert ended.state == "succeeded", log_of(database, again)
    assert get_run(database, again).version == 1
