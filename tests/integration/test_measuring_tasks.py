"""Windows of regression, multiclass and ranking models, from their log to their readings."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.store.readings import list_readings
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.store import tables
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation, labels_of, rows_of


@pytest.fixture
def automation(database, store):
    return Automation(database, store, policy=None)


def turn_into(automation, task, **fields):
    """Make the model one of another task, and put the policy in force."""
    target = TargetContract.from_json(
        {"task": task, "max_label_delay_seconds": 10 * 86_400, **fields}
    )
    with automation.database.writing() as session:
        model = session.get_one(tables.Model, automation.model.id)
        model.task, model.target_contract = task, target.to_json()
    automation.apply(POLICY)


def log_days(automation, days, make):
    for number in range(days):
        day = START + number * DAY
        table, values = make(day)
        automation.accept("predictions", f"p{number}", table, day + 23 * HOUR)
        automation.accept("labels", f"l{number}", labels_of(table, values), day + 23 * HOUR)
        automation.pass_to(day + DAY)


def newest(automation, *monitors):
    with automation.database.reading() as session:
        found = list_readings(
            session,
            model_id=automation.model.id,
            environment="production",
            monitors=monitors,
        )
    return {one.monitor: one for one in found if one.state in {"final", "estimate"}}


def test_regression(automation):
    """Errors are three times as large where it rains; the last day it rains all day."""
    turn_into(automation, "regression")

    def make(day):
        table, _ = rows_of(day)
        rng = np.random.default_rng(day.toordinal())
        if day == START + 6 * DAY:
            rain = pa.array(np.ones(480, dtype=bool))
            table = table.set_column(table.column_names.index("rain"), "rain", rain)
        scale = np.where(table["rain"].to_numpy(), 0.3, 0.1)
        return table, table["score"].to_numpy() + rng.normal(0, scale)

    log_days(automation, 7, make)
    found = newest(automation, "estimated_mae", "estimated_rmse", "mae")
    estimated = found["estimated_mae"]
    assert (estimated.start, estimated.state) == (START + 6 * DAY, "estimate")
    assert estimated.evidence["method"] == "loss model"
    automation.pass_to(START + 8 * DAY)
    measured = newest(automation, "mae", "rmse", "mape", "pinball", "bias", "skill_rmse")
    assert measured["mae"].state == "final"
    assert measured["mae"].value == pytest.approx(0.24, abs=0.03)
    assert estimated.value == pytest.approx(measured["mae"].value, abs=0.05)
    assert set(measured) == {"mae", "rmse", "mape", "pinball", "bias", "skill_rmse"}
    assert abs(measured["bias"].value) < 0.05


def test_multiclass(automation):
    turn_into(automation, "multiclass", classes=["a", "b", "c"])

    def make(day):
        table, _ = rows_of(day)
        rng = np.random.default_rng([1, day.toordinal()])
        scores = rng.dirichlet([1.0, 1.0, 1.0], 480)
        labels = np.array([rng.choice(3, p=row) for row in scores], dtype=float)
        return table.append_column("scores", pa.array(scores.tolist())), labels

    log_days(automation, 6, make)
    estimated = newest(automation, "estimated_macro_auc", "estimated_accuracy")
    assert estimated["estimated_macro_auc"].state == "estimate"
    automation.pass_to(START + 7 * DAY)
    found = newest(automation, "log_loss", "accuracy", "macro_f1", "macro_auc", "skill_log_loss")
    assert {one.state for one in found.values()} == {"final"}
    assert found["skill_log_loss"].value > 0.1
    for name in ("macro_auc", "accuracy"):
        said = estimated[f"estimated_{name}"]
        assert said.value == pytest.approx(found[name].value, abs=0.06)


def test_multiclass_without_scores_of_classes_has_no_metric(automation):
    turn_into(automation, "multiclass", classes=["a", "b", "c"])
    log_days(automation, 2, rows_of)
    automation.pass_to(START + 4 * DAY)
    assert newest(automation, "labelled")["labelled"].value == 480.0
    assert dict(automation.states("log_loss"))[START] == "empty"


def test_ranking(automation):
    turn_into(automation, "ranking", group_key="hour")

    def make(day):
        table, values = rows_of(day)
        return table, values

    log_days(automation, 2, make)
    automation.pass_to(START + 2 * DAY + HOUR)
    found = newest(automation, "ndcg", "map", "mrr", "skill_ndcg", "concept_loss")
    assert found["skill_ndcg"].value > 0.1
    assert found["concept_loss"].value == pytest.approx(1 - found["ndcg"].value, abs=0.05)
    assert 0.3 < found["ndcg"].value <= 1.0
    assert found["mrr"].low < found["mrr"].value <= 1.0
