"""Versions whose rows were erased: what is told of their files, of rebuilds, of runs under way."""

import pyarrow as pa
import pytest

from mlreg.controller.services import erasing, feedback, registering, reproductions, snapshots
from mlreg.controller.services.losses import lost_of
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import catalog
from tests.faults.workers import await_true
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    get_run,
    log_of,
    make_model,
    stream,
    worker,
)

NOW = START + 32 * DAY
ENTITY = "customer-7"


@pytest.fixture
def model(database):
    model = make_model(database)
    rows, labels = stream(START, 31)
    names = [ENTITY if n % 50 == 0 else f"other-{n}" for n in range(rows.num_rows)]
    rows = rows.append_column("entity", pa.array(names))
    with database.writing() as session:
        for kind, table in (("predictions", rows), ("labels", labels)):
            feedback.accept(session, model, kind, kind, table, now=NOW)
    return model


@pytest.fixture
def at_work(database, store, tmp_path):
    """Two workers, so that an erasure need not wait for the end of a run."""
    clock = FixedClock(NOW)
    with (
        worker(database, store, clock, tmp_path / "one"),
        worker(database, store, clock, tmp_path / "two"),
    ):
        yield


def erase(database, model):
    with database.writing() as session:
        asked = erasing.request_erasure(session, model, ENTITY, "asked", actor=SYSTEM, now=NOW)

    def found():
        with database.reading() as session:
            return erasing.get_erasure(session, asked.id)

    await_true(lambda: found().ended_at is not None)
    return found()


def reproduce(database, number):
    with database.writing() as session:
        model = catalog.get_model(session, "flights")
        given = {"deep": False, "actor": PERSON, "now": NOW}
        asked = reproductions.request_reproduction(session, model, number, **given)

    def found():
        with database.reading() as session:
            return reproductions.get_reproduction(session, asked)

    await_true(lambda: found().state not in {"queued", "running"})
    return found()


@pytest.mark.usefixtures("at_work")
def test_a_version_is_named_whose_file_has_such_rows_and_cannot_be_rebuilt(database, model):
    run = await_end(database, ask(database, now=NOW))
    assert run.state == "succeeded", log_of(database, run.id)
    assert reproduce(database, run.version).progress["finding"]["outcome"] == "identical"
    done = erase(database, model)
    assert (done.predictions, done.labels) == (124, 124)
    (file,) = done.report["remaining"]
    assert (file["what"], file["name"]) == ("version_file", "flights/1 holdout.parquet")
    assert 30 <= file["rows"] <= 40  # of the last nine days, four a day
    with database.reading() as session:
        lost = lost_of(session, snapshots.get_snapshot(session, run.snapshot).body)
    finding = reproduce(database, run.version).progress["finding"]
    assert finding["outcome"] == "not_reproducible"
    assert f"its snapshot {run.snapshot} lost segment" in finding["reason"]
    for one in lost:
        assert (
            f"{one.digest} (124 rows erased by erasure {done.id} at 2013-07-03"
            in (finding["reason"])
        )


@pytest.mark.nightly
@pytest.mark.usefixtures("at_work")
def test_a_run_registers_nothing_of_rows_that_are_erased_while_it_trains(
    database, model, monkeypatch
):
    send = registering.send_stage

    def erase_then_send(*given):
        erase(database, model)
        return send(*given)

    monkeypatch.setattr(registering, "send_stage", erase_then_send)
    run = await_end(database, ask(database, now=NOW))
    assert (run.state, run.version) == ("failed", None)
    assert "124 rows erased by erasure" in run.error
    monkeypatch.undo()
    again = await_end(database, ask(database, now=NOW))
    assert again.state == "succeeded", log_of(database, again.id)
    assert get_run(database, again.id).snapshot != run.snapshot
