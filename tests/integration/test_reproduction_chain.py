"""A deep rebuild goes from each rebuilt parent, never from the stored one, and parts where it does.

The chain is full → continue → refit: versions 1, 3 and 4; 2 is another full one, by another seed.
"""

import pytest
from sqlalchemy import text

from mlreg.controller.domain.policy import RetrainRule
from mlreg.registry.services import catalog
from tests.integration.test_reproduction import reproduce, tamper
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
    specification,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def chain(database, store, clock, tmp_path):
    """The four versions, and a worker that rebuilds them."""
    model = make_model(database)
    log_stream(database, model, START, 31)
    params = specification().retrain.params
    other = RetrainRule(params={**params, "bagging_fraction": 0.5, "bagging_freq": 1}, rounds=20)

    def run(**options):
        ended = await_end(database, ask(database, now=clock.moment, **options))
        assert ended.state == "succeeded", log_of(database, ended.id)
        with database.writing() as session:  # what the next promotion asks for
            session.execute(text("UPDATE decision SET verdict = 'accepted'"))
        return ended.version

    with worker(database, store, clock, tmp_path / "work"):
        assert [run(), run(retrain=other)] == [1, 2]
        for parent, lane in ((1, "continue"), (3, "refit")):
            promote_by_hand(database, parent, now=clock.moment, actor=PERSON)
            clock.moment += 20 * DAY
            log_stream(database, model, clock.moment - 21 * DAY, 20)
            run(lane=lane)
        yield
    with database.reading() as session:
        lanes = [catalog.get_version(session, model, number).lane for number in (1, 2, 3, 4)]
    assert lanes == ["full", "full", "continue", "refit"]


def model_file(database, store, number):
    with database.reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, "flights"), number)
        files = catalog.get_manifest(session, version).files
    (digest,) = [file.digest for file in files if file.path == "model.txt"]
    return store.root / "blobs" / "sha256" / digest[7:9] / digest[7:]


@pytest.mark.nightly
@pytest.mark.usefixtures("chain")
def test_a_deep_rebuild_needs_no_stored_parent(database, store):
    for number in (1, 3):
        file = model_file(database, store, number)
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-300] + b"0" * 300)
    shallow = reproduce(database, 4)
    assert shallow["outcome"] == "not_reproducible"
    assert shallow["reason"].startswith("of its parent 3: ")
    deep = reproduce(database, 4, deep=True)
    assert deep["outcome"] == "identical", deep
    assert [(one["version"], one["outcome"]) for one in deep["ancestors"]] == [
        (1, "identical"),
        (3, "identical"),
    ]


@pytest.mark.nightly
@pytest.mark.usefixtures("chain")
def test_a_deep_rebuild_parts_where_the_parent_parts(postgres, database):
    """Version 1 now names the files of version 2, as if another model had been slipped in."""
    tamper(
        postgres,
        database,
        "UPDATE version SET manifest_digest ="
        " (SELECT manifest_digest FROM version WHERE number = 2) WHERE number = 1",
    )
    shallow = reproduce(database, 3)
    assert shallow["outcome"] == "differs", "it was continued from another model"
    assert shallow["comparison"]["difference"]["tree"] == 0
    assert reproduce(database, 4)["outcome"] == "identical", "its own parent is what it was"
    deep = reproduce(database, 4, deep=True)
    assert deep["outcome"] == "differs"
    said = "its ancestor flights/1: tree 0 is the first of 20 that differ"
    assert deep["reason"].startswith(said)
    (first,) = deep["ancestors"]
    assert (first["version"], first["outcome"]) == (1, "differs")
    assert first["comparison"]["difference"]["tree"] == 0
    assert deep["comparison"] is None, "nothing is built on a parent that differs"
