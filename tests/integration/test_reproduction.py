"""Versions of real runs rebuilt from their records: identical in every lane, and seen to differ."""

import json

import pytest
from sqlalchemy import create_engine, text

from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import attestations, audit, catalog
from mlreg.registry.store.tables import Version
from tests.makers import PERSON, make_version
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
    reproduced,
    worker,
)

NOW = START + 32 * DAY


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture(autouse=True)
def at_work(database, store, clock, tmp_path):
    with worker(database, store, clock, tmp_path / "work"):
        yield


@pytest.fixture
def trained(database, model):
    """Version 1, by a full run."""
    log_stream(database, model, START, 31)
    run = await_end(database, ask(database, now=NOW))
    assert run.state == "succeeded", log_of(database, run.id)
    return run


def reproduce(database, number, *, deep=False):
    """What the rebuild of a version says, once a worker has done it."""
    return reproduced(database, NOW, number, deep=deep)


def tamper(postgres, database, statement, **values):
    """Change the record behind the registry's back, as the database's superuser could."""
    name = database.url.rsplit("/", 1)[-1].split("?")[0]
    engine = create_engine(postgres.url(name))
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))  # no trigger minds
        assert connection.execute(text(statement), values).rowcount == 1
    engine.dispose()


def partings(finding):
    return [(one["where"], one["what"]) for one in finding["partings"] if one["decisive"]]


def stateful(database, clock, model, lanes):
    """Versions 2, 3 …, each by one of these lanes on the one before."""
    for place, lane in enumerate(lanes):
        number = place + 1
        promote_by_hand(database, number, now=clock.moment, actor=PERSON)
        log_stream(database, model, START + (31 + 20 * place) * DAY, 20)
        clock.moment = NOW + 20 * (place + 1) * DAY
        run = await_end(database, ask(database, now=clock.moment, lane=lane))
        assert (run.state, run.lane, run.version) == ("succeeded", lane, number + 1), log_of(
            database, run.id
        )
        with database.writing() as session:  # what the next promotion asks for
            session.execute(text("UPDATE decision SET verdict = 'accepted'"))


@pytest.mark.usefixtures("trained")
def test_every_lane_is_rebuilt_tree_by_tree_and_attested(database, clock, model):
    stateful(database, clock, model, ["continue", "refit"])
    for number in (1, 2, 3):
        finding = reproduce(database, number)
        assert finding["outcome"] == "identical", finding
        assert finding["comparison"]["same_bytes"] is True
        assert finding["comparison"]["registered"] == finding["comparison"]["rebuilt"]
        assert finding["partings"] == []
    deep = reproduce(database, 3, deep=True)
    assert deep["outcome"] == "identical", deep
    assert [(one["version"], one["outcome"]) for one in deep["ancestors"]] == [
        (1, "identical"),
        (2, "identical"),
    ]
    with database.reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, "flights"), 3)
        newest, first = attestations.list_attestations(session, version)
        assert (first.kind, first.outcome, first.actor) == ("reproduce", "identical", PERSON.name)
        assert newest.body["deep"] is True
        entry = audit.list_entries(session, audit.AuditFilter("version.attest", limit=1))[0]
    assert entry.subject == "version:flights/3"
    assert json.loads(entry.body)["outcome"] == "identical"


@pytest.mark.usefixtures("trained")
def test_another_parameter_is_seen_in_the_trees_and_named(postgres, database):
    tamper(
        postgres,
        database,
        "UPDATE run SET specification ="
        " jsonb_set(specification, '{retrain,params,num_leaves}', '5')",
    )
    finding = reproduce(database, 1)
    assert finding["outcome"] == "differs"
    assert finding["comparison"]["difference"]["tree"] == 0
    assert finding["comparison"]["difference"]["part"] == "structure"
    assert ("params", "num_leaves") in partings(finding)
    assert "tree 0 is the first of 20 that differ" in finding["reason"]
    assert "num_leaves: 7 registered, 5 now" in finding["reason"]


@pytest.mark.usefixtures("trained")
def test_a_record_that_lies_is_seen_though_the_trees_are_equal(postgres, database):
    tamper(
        postgres,
        database,
        "UPDATE version SET hyperparameters = hyperparameters || '{\"learning_rate\": 0.3}',"
        " environment = jsonb_set(environment, '{packages,lightgbm}', '\"4.0.0\"')",
    )
    finding = reproduce(database, 1)
    assert finding["outcome"] == "differs"
    assert finding["comparison"]["difference"] is None
    said = partings(finding)
    assert ("params", "learning_rate") in said
    assert any(where == "library" and "with lightgbm 4.0.0" in what for where, what in said)
    assert any(where == "library" and "audit log's entry" in what for where, what in said)
    assert any(where == "params" and "audit log's entry" in what for where, what in said)


@pytest.mark.usefixtures("trained")
def test_other_libraries_and_machines_are_told_but_no_difference(postgres, database):
    """As after an upgrade: the record is true, the world around it has moved on."""
    tamper(
        postgres,
        database,
        "UPDATE version SET trainer = 'lightgbm/4.0.0', environment = environment"
        " || jsonb_build_object('platform', 'Plan9', 'packages', environment -> 'packages'"
        ' || \'{"lightgbm": "4.0.0", "numpy": "1.0"}\')',
    )
    tamper(
        postgres,
        database,
        "UPDATE audit_entry SET body = (body::jsonb - 'record'"
        " || '{\"trainer\": \"lightgbm/4.0.0\"}')::text WHERE action = 'version.register'",
    )
    finding = reproduce(database, 1)
    assert finding["outcome"] == "identical", finding["reason"]
    told = {(one["where"], one["what"]): one["registered"] for one in finding["partings"]}
    assert told["library", "lightgbm"] == "4.0.0"
    assert told["library", "numpy"] == "1.0"
    assert told["platform", "platform"] == "Plan9"


def test_a_lost_segment_is_named_and_a_corrupt_one_differs(database, store, trained):
    with database.reading() as session:
        body = json.loads(
            session.execute(
                text("SELECT body FROM snapshot WHERE digest = :d"), {"d": trained.snapshot}
            ).scalar_one()
        )
    segment = body["labels"][0]
    path = store.root / "blobs" / "sha256" / segment[7:9] / segment[7:]
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content[:-200] + b"\0" + content[-199:])
    finding = reproduce(database, 1)
    assert (finding["outcome"], partings(finding)[0][0]) == ("differs", "data")
    assert finding["reason"] == f"a segment of its snapshot is corrupt: {segment}"
    path.unlink()
    finding = reproduce(database, 1)
    assert finding["outcome"] == "not_reproducible"
    assert finding["reason"] == f"a segment of its snapshot is gone: {segment}"
    path.write_bytes(content)
    assert reproduce(database, 1)["outcome"] == "identical"


@pytest.mark.usefixtures("trained")
def test_another_snapshot_than_its_name_says_is_seen(postgres, database):
    tamper(
        postgres,
        database,
        "UPDATE snapshot SET body = (body::jsonb || jsonb_build_object('start',"
        " '2013-06-09T00:00:00.000000Z'))::text WHERE digest = (SELECT snapshot FROM run)",
    )
    finding = reproduce(database, 1)
    assert finding["outcome"] == "differs"
    assert ("data", "the snapshot's manifest is not the one that its name says") in partings(
        finding
    )
    assert ("data", "train_rows") in partings(finding)
    assert finding["comparison"]["difference"] is not None


@pytest.mark.usefixtures("trained")
def test_a_chain_parts_at_the_ancestor_that_differs(postgres, database, clock, model):
    stateful(database, clock, model, ["refit"])
    tamper(
        postgres,
        database,
        "UPDATE run SET specification = jsonb_set(specification, '{retrain,seed}', '5'),"
        " trainer = trainer WHERE version = 1",
    )
    assert reproduce(database, 2)["outcome"] == "identical", "its parent's bytes are taken"
    deep = reproduce(database, 2, deep=True)
    assert deep["outcome"] == "differs"
    assert deep["reason"].startswith("its ancestor flights/1: ")
    assert [one["version"] for one in deep["ancestors"]] == [1]


@pytest.mark.parametrize(
    ("flavour", "contract", "said"),
    [
        ("pickle", None, "its files are pickle"),
        ("lightgbm-text", None, "it has no feature contract"),
    ],
)
def test_what_cannot_be_rebuilt_says_why(database, model, flavour, contract, said):
    with database.writing() as session:
        make_version(session, session.merge(model), 1, flavour=flavour)
        session.get(Version, (model.id, 1)).feature_contract = contract
    finding = reproduce(database, 1)
    assert finding["outcome"] == "not_reproducible"
    assert said in finding["reason"]


@pytest.mark.usefixtures("trained")
def test_a_version_without_run_or_snapshot_says_so(postgres, database):
    tamper(postgres, database, "UPDATE version SET snapshots = '[]'")
    assert reproduce(database, 1)["reason"] == "it names no snapshot"
    tamper(postgres, database, "UPDATE version SET run_id = NULL")
    assert "no run of this registry made it" in reproduce(database, 1)["reason"]
