"""Searches of a real database, held against a plain reading of every row."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.search_language import InvalidQueryError
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services import catalog
from mlreg.registry.services import search as searching
from mlreg.registry.services.catalog import ModelSpecification
from mlreg.registry.store import search_index, search_masks, tables, versions
from tests.makers import PERSON, make_version

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 40
LANES = ("full", "continue", "refit")


def columns_of(number):
    """Return what version `number` of the made models is; `None` stands where it has none."""
    chance = random.Random(number)
    return {
        "lane": LANES[number % 3],
        "trainer": None if number % 7 == 0 else "lightgbm",
        "git": {"commit": digest_of(b"%d" % (number // 2))[7:47], "dirty": number % 5 == 0},
        "snapshots": [digest_of(b"data %d" % (number // 3))],
        "hyperparameters": {
            "num_leaves": chance.choice([7, 31, 63]),
            "objective": chance.choice(["binary", "31"]),
            "huge": 10**400 if number % 2 else 5,
            "nested": {"a": 1},
            "k" * 250: 1,
        },
        "seeds": {"seed": number % 4},
        "environment": {
            "python": "CPython 3.11.9",
            "platform": "Linux",
            "packages": {"numpy": "2.0.1", "lightgbm": "4.6.0" if number > 20 else "4.5"},
        },
        "metrics": {"auc": number / COUNT, **({"rare": 1.0} if number == 33 else {})},
        "tags": {"team": chance.choice(["risk", "ops"]), 'odd "key"': "a (b) c"},
        "created_at": START + timedelta(hours=number),
        "trained_by": "ci" if number % 2 else None,
    }


@pytest.fixture
def session(database):
    with database.writing() as session:
        contract = FeatureContract.from_json([{"name": "temp", "dtype": "float"}])
        versions.keep_contract(session, contract.digest, "feature", contract.to_document())
        for name in ("flights", "trains"):
            specification = ModelSpecification(
                name, TargetContract.from_json({"task": "regression"})
            )
            model = catalog.create_model(session, specification, actor=PERSON, now=START)
            for number in range(1, COUNT + 1):
                make_version(session, model, number)
                row = session.get(tables.Version, (model.id, number))
                for column, value in columns_of(number).items():
                    setattr(row, column, value)
                row.feature_contract = contract.digest if name == "flights" else None
            session.flush()
            search_index.index_models(session, [model.id])
        yield session


def found_by(session, query, models=None, limit=500):
    page = searching.search(session, query, models=models, limit=limit)
    return [(found.model, found.version.number) for found in page.items]


def expected(holds):
    numbers = [number for number in range(1, COUNT + 1) if holds(columns_of(number))]
    return [(model, n) for model in ("trains", "flights") for n in reversed(numbers)]


QUESTIONS = {
    "lane:refit": lambda row: row["lane"] == "refit",
    "lane!=refit": lambda row: row["lane"] != "refit",
    "-trainer:lightgbm": lambda row: row["trainer"] is None,
    "trainer:*": lambda row: row["trainer"] is not None,
    "metric.auc>=0.5": lambda row: row["metrics"]["auc"] >= 0.5,
    "metric.rare:*": lambda row: "rare" in row["metrics"],
    "-metric.rare:*": lambda row: "rare" not in row["metrics"],
    "metric.rare=1 lane:full": lambda row: "rare" in row["metrics"] and row["lane"] == "full",
    "metric.rare=1 metric.auc>0.5 -lane:refit tag.team:*": lambda row: "rare" in row["metrics"],
    "metric.rare=1 (metric.auc>2 or params.num_leaves>0)": lambda row: "rare" in row["metrics"],
    "metric.rare=1 -(metric.auc>2 params.num_leaves>0)": lambda row: "rare" in row["metrics"],
    "metric.rare=1 created<2026": lambda _: False,
    "params.num_leaves>7 lane:full": lambda row: (
        row["hyperparameters"]["num_leaves"] > 7 and row["lane"] == "full"
    ),
    "params.objective:31": lambda row: row["hyperparameters"]["objective"] == "31",
    "params.huge>1": lambda row: row["hyperparameters"]["huge"] == 5,
    "params.nested:*": lambda _: False,
    "seed.seed=3": lambda row: row["seeds"]["seed"] == 3,
    "dirty:true": lambda row: row["git"]["dirty"],
    "trained_by:ci": lambda row: row["trained_by"] == "ci",
    "trained_by:test": lambda row: row["trained_by"] is None,
    "created<2026-01-02": lambda row: row["created_at"] < START + timedelta(days=1),
    "created:2026-01-02": lambda row: row["created_at"].day == 2,
    "(lane:full or lane:refit) tag.team=risk": lambda row: (
        row["lane"] != "continue" and row["tags"]["team"] == "risk"
    ),
    "-(lane:full or tag.team=risk)": lambda row: (
        row["lane"] != "full" and row["tags"]["team"] != "risk"
    ),
    "lane:full or -(tag.team=risk metric.auc>0.3)": lambda row: (
        row["lane"] == "full" or not (row["tags"]["team"] == "risk" and row["metrics"]["auc"] > 0.3)
    ),
    'tag."odd \\"key\\"":"a (b) c"': lambda _: True,
    'tag."odd \\"key\\"":"a (b"*': lambda _: True,
    "package.lightgbm=4.6": lambda row: row["environment"]["packages"]["lightgbm"] == "4.6.0",
    "package.lightgbm<4.6": lambda row: row["environment"]["packages"]["lightgbm"] == "4.5",
    "package.numpy:2.* -package.lightgbm:4.5*": lambda row: (
        row["environment"]["packages"]["lightgbm"] == "4.6.0"
    ),
    "package.pandas:*": lambda _: False,
    "lane:full or -lane:full": lambda _: True,
    "lane:full or (version>3 -version>3)": lambda row: row["lane"] == "full",
    "-(lane:full or lane:refit or tag.team=risk or metric.auc>0.9 or trainer:none)": lambda row: (
        row["lane"] == "continue" and row["tags"]["team"] == "ops" and row["metrics"]["auc"] <= 0.9
    ),
    "tag.team:* trainer:* dirty:false seed.seed<3 metric.auc>0.2 (lane:full or lane:refit)": (
        lambda row: (
            row["trainer"] is not None
            and not row["git"]["dirty"]
            and row["seeds"]["seed"] < 3
            and row["metrics"]["auc"] > 0.2
            and row["lane"] != "continue"
        )
    ),
    "version>38": lambda row: row["created_at"] > START + timedelta(hours=38),
    f"git:{digest_of(b'4')[7:12]}": lambda row: row["git"]["commit"] == digest_of(b"4")[7:47],
    f"data:{digest_of(b'data 2')}": lambda row: row["snapshots"] == [digest_of(b"data 2")],
}


@pytest.mark.parametrize(
    ("few", "left"),
    [(200, 200), (0, 200), (0, -1)],
    ids=["one by one", "some terms at once", "block by block"],
)
def test_a_search_finds_what_a_plain_reading_finds(session, monkeypatch, few, left):
    monkeypatch.setattr(searching, "FEW", few)
    monkeypatch.setattr(search_masks, "FEW", left)
    for query, holds in QUESTIONS.items():
        assert found_by(session, query) == expected(holds), query


def test_features_are_those_of_the_contract(session):
    assert found_by(session, "features:temp") == [("flights", n) for n in range(COUNT, 0, -1)]
    assert found_by(session, "features:te* version=3") == [("flights", 3)]
    assert found_by(session, "-features:temp version=3") == [("trains", 3)]
    assert found_by(session, "features:wind") == []


def test_a_caller_finds_only_what_it_may_read(session):
    assert found_by(session, "version=3", frozenset({"trains"})) == [("trains", 3)]
    assert found_by(session, "version=3 or model:flights", frozenset({"trains"})) == [("trains", 3)]
    assert found_by(session, "-model:trains", frozenset({"trains"})) == []
    assert found_by(session, "version=3", frozenset()) == []


def test_archived_and_deleted_versions_are_not_found(session):
    session.execute(text("UPDATE version SET archived_at = now() WHERE number = 3"))
    session.execute(text("UPDATE version SET deleted_at = now() WHERE number = 4"))
    session.execute(text("UPDATE model SET archived_at = now() WHERE name = 'trains'"))
    assert found_by(session, "version<=5") == [("flights", 5), ("flights", 2), ("flights", 1)]


def test_a_page_is_full_however_many_hidden_ones_lie_before_it(session, monkeypatch):
    monkeypatch.setattr(searching, "FEW", 0)
    monkeypatch.setattr(search_masks, "FEW", -1)
    session.execute(text("UPDATE version SET archived_at = now() WHERE number > 5"))
    assert found_by(session, "lane:*", limit=2) == [("trains", 5), ("trains", 4)]


def test_champions_are_those_of_now(session):
    model = catalog.get_model(session, "flights")
    session.add(
        tables.Deployment(model_id=model.id, environment="production", champion=7, updated_at=START)
    )
    session.flush()
    assert found_by(session, "champion:production") == [("flights", 7)]
    assert found_by(session, "champion:nowhere") == []
    assert len(found_by(session, "-champion:production")) == 2 * COUNT - 1


@pytest.mark.parametrize("blocks", [False, True])
def test_pages_follow_each_other_without_gaps(session, monkeypatch, blocks):
    if blocks:  # as if the versions stood far apart
        session.execute(text("UPDATE search_version SET id = id * 5000"))
        for table in ("search_text", "search_number"):
            session.execute(text(f"UPDATE {table} SET id = id * 5000, block = (id * 5000) >> 13"))
        monkeypatch.setattr(searching, "FEW", 5)
    seen, before = [], None
    while True:
        page = searching.search(session, "-lane:refit", models=None, before=before, limit=7)
        seen += [(found.model, found.version.number) for found in page.items]
        if page.next is None:
            break
        before = int(page.next)
    assert seen == expected(lambda row: row["lane"] != "refit")


def test_a_bad_query_is_refused_before_a_table_is_read(session):
    with pytest.raises(InvalidQueryError, match="column 8"):
        searching.search(session, "lane:a tag:x", models=None)


def test_a_set_of_packages_is_written_once(session):
    sets = session.execute(text("SELECT count(*) FROM search_set")).scalar()
    members = session.execute(text("SELECT count(*) FROM search_member")).scalar()
    assert (sets, members) == (3, 5)
