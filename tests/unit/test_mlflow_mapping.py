from datetime import UTC, datetime

import pytest

from mlreg.client.mlflow.mapping import Described, translate, typed
from mlreg.client.mlflow.records import (
    MlflowRun,
    MlflowVersion,
    aliases_of,
    run_of,
    version_of,
)

VERSION = MlflowVersion(
    model="churn",
    number=3,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    description="",
    source="models:/m-1",
    run_id="r1",
    status="READY",
    tags={},
    aliases=("champion",),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31", 31),
        ("-1", -1),
        ("007", "007"),
        ("1_000", "1_000"),
        (" 5", " 5"),
        ("9007199254740993", "9007199254740993"),
        ("0.05", 0.05),
        ("1e-3", 1e-3),
        ("nan", "nan"),
        ("inf", "inf"),
        ("True", True),
        ("true", "true"),
        ("binary", "binary"),
        ("", ""),
    ],
)
def test_a_param_becomes_a_number_only_where_that_is_certain(text, value):
    found = typed(text)
    assert found == value
    assert type(found) is type(value)


def test_what_mlflow_did_not_record_lacks():
    found = translate(VERSION, MlflowRun(), Described())
    assert found.lacking == [
        "git",
        "data",
        "contract",
        "hyperparameters",
        "seeds",
        "environment",
        "trainer",
        "lane",
    ]
    assert found.tags["mlflow.version"] == "3"
    assert found.tags["mlflow.alias.champion"] == "yes"


def test_a_column_that_is_no_number_makes_no_contract():
    def signed(inputs):
        return translate(VERSION, MlflowRun(), Described({"signature": {"inputs": inputs}}))

    numbers = '[{"name": "a", "type": "double"}, {"name": "b", "type": "long"}]'
    assert [one.dtype for one in signed(numbers).provenance.contract] == ["float", "int"]
    assert signed('[{"name": "a", "type": "string"}]').provenance.contract is None
    assert signed("[{").provenance.contract is None
    assert signed("[]").provenance.contract is None


def test_seeds_are_whole_numbers_of_a_seeds_name():
    run = MlflowRun(params={"seed": "7", "bagging_seed": "8", "random_state": "9", "seeded": "1"})
    found = translate(VERSION, run, Described())
    assert found.provenance.seeds == {"seed": 7, "bagging_seed": 8, "random_state": 9}
    no_seed = translate(VERSION, MlflowRun(params={"seed": "True"}), Described())
    assert "seeds" in no_seed.lacking


def test_metrics_that_are_no_numbers_and_tags_that_are_too_long_are_left_out_and_said_so():
    run = MlflowRun(metrics={"auc": 0.5, "loss": float("inf")}, tags={"long": "x" * 2_000})
    found = translate(VERSION, run, Described())
    assert found.metrics == {"auc": 0.5}
    assert "long" not in found.tags
    assert len(found.notes) == 2


def test_only_pinned_requirements_are_packages():
    described = Described(
        {"flavors": {"python_function": {"python_version": "3.11.7"}, "lightgbm": {}}},
        ["lightgbm==4.7.0", "numpy>=2", "Scikit_Learn==1.9.1 ; python_version > '3'", "# x==1"],
    )
    found = translate(VERSION, MlflowRun(), described).provenance
    assert found.environment.packages == {"lightgbm": "4.7.0", "scikit-learn": "1.9.1"}
    assert found.trainer == "lightgbm"


def test_answers_of_other_releases_are_read_leniently():
    assert run_of({}) == MlflowRun()
    assert aliases_of({"registered_model": {}}) == {}
    version = version_of({"name": "m", "version": "1"}, {"a": 1, "b": 2})
    assert (version.aliases, version.status, version.source) == (("a",), "READY", "")


def test_secrets_do_not_come_over():
    token = "ghp_" + "a1B2" * 9
    run = MlflowRun(params={"db_password": "hunter2"}, tags={"note": f"use {token}"})
    found = translate(VERSION, run, Described())
    assert "hunter2" not in str(found)
    assert token not in str(found)
    assert len(found.notes) == 2
