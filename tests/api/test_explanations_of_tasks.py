"""Explanations of multiclass and regression models, from their log to what a person reads."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.cli.commands.explanation import described
from mlreg.client.wire.explanations import ExplainRequest
from mlreg.controller.api import explanations
from mlreg.controller.store.tables import Outage
from tests.api.test_explanations import (
    EXPLAIN,
    PLANTED,
    automation,
    give_model,
    where,
)
from tests.automation_makers import DAY, HOUR, START, labels_of, rows_of
from tests.integration.test_measuring_tasks import turn_into

__all__ = ["automation"]
PARAMETERS = {
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "regression": {"objective": "regression"},
}


@pytest.fixture
def extra_routers():
    return (explanations.router,)


def planted_rows(table):
    return (np.array(table["carrier"]) == "UA") & np.array(table["rain"])


def classes_of(table):
    """Scores of three classes by the temperature, labels that they predict, but in the slice."""
    rng = np.random.default_rng(1)
    warm = table["score"].to_numpy()
    scores = np.column_stack([warm * 0.9, 1 - warm, warm * 0.1])
    labels = (rng.random(len(warm))[:, None] > scores.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    labels = np.where(planted_rows(table), 2, labels).astype(float)
    return table.drop_columns(["score"]).append_column("scores", pa.array(scores.tolist())), labels


def numbers_of(table):
    """Scores by the temperature, labels beside them, and far off in the slice."""
    rng = np.random.default_rng(1)
    scores = 10 * table["score"].to_numpy()
    labels = scores + rng.normal(0, 1, len(scores)) + 8 * planted_rows(table)
    place = table.column_names.index("score")
    return table.set_column(place, "score", pa.array(scores)), labels


MADE = {"multiclass": classes_of, "regression": numbers_of}


def log_planted(automation, task, tmp_path):
    turn_into(automation, task, **({"classes": ["a", "b", "c"]} if task == "multiclass" else {}))
    table, labels = MADE[task](rows_of(START, rows=2_400)[0])
    give_model(automation, tmp_path / task, **PARAMETERS[task])
    automation.accept("predictions", "p", table, START + 23 * HOUR)
    automation.accept("labels", "l", labels_of(table, labels), START + 23 * HOUR)
    automation.pass_to(START + DAY + HOUR)
    return table, labels


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_planted_slice_is_found(client, automation, tmp_path, task):
    table, labels = log_planted(automation, task, tmp_path)
    asked = client.explanations.request("flights", ExplainRequest(start=START, days=1, worst=3))
    assert automation.work(EXPLAIN) == ["explain"]
    answer = client.explanations.wait(asked.number)
    found = answer.found
    if task == "multiclass":
        chances = np.array(table["scores"].to_pylist())[np.arange(len(labels)), labels.astype(int)]
        losses = -np.log(chances)
    else:
        losses = np.abs(table["score"].to_numpy() - labels)
    assert found.mean == pytest.approx(losses.mean())
    first = found.slices[0]
    assert (first.kind, where(first)) == ("wrong" if task == "multiclass" else "worse", PLANTED)
    assert first.mean == pytest.approx(losses[planted_rows(table)].mean())
    assert first.rest == pytest.approx(losses[~planted_rows(table)].mean())
    assert [one.loss for one in found.worst] == pytest.approx(np.sort(losses)[::-1][:3])
    assert found.contributions is not None, found.notes
    assert found.contributions.groups == ("wrong", "right")
    assert len(found.contributions.features) == 4
    assert any("0 a, 1 b, 2 c" in note for note in found.notes) == (task == "multiclass")
    text = described(answer)
    assert "log loss" in text if task == "multiclass" else "absolute error" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_classes_without_labels_are_explained_by_their_confidence(client, automation, tmp_path):
    turn_into(automation, "multiclass", classes=["a", "b", "c"])
    give_model(automation, tmp_path / "a", **PARAMETERS["multiclass"])
    for number in range(2):
        day = START + number * DAY
        table, _ = classes_of(rows_of(day, rows=1_200)[0])
        if number:
            scores = np.array(table["scores"].to_pylist())
            sure = np.where(planted_rows(table)[:, None], [0.0, 0.0, 1.0], scores)
            place = table.column_names.index("scores")
            table = table.set_column(place, "scores", pa.array(sure.tolist()))
        automation.accept("predictions", f"p{number}", table, day + 23 * HOUR)
        automation.pass_to(day + DAY + HOUR)
    asked = client.explanations.request("flights")
    assert automation.work(EXPLAIN) == ["explain"]
    found = client.explanations.wait(asked.number).found
    assert (found.by, found.value) == ("score", "confidence")
    assert (found.slices[0].kind, where(found.slices[0])) == ("moved", PLANTED)
    assert found.slices[0].mean == pytest.approx(1.0)
    assert found.contributions.groups == ("now", "before")


def test_the_hours_of_an_outage_are_left_out_and_said(client, automation, tmp_path):
    log_planted(automation, "regression", tmp_path)
    down = {"start": START - 2 * HOUR, "end": START + 6 * HOUR, "features": ["temp"]}
    with automation.database.writing() as session:
        session.add(Outage(model_id=automation.model.id, **down, share=1.0))
    asked = client.explanations.request("flights", ExplainRequest(start=START, days=1))
    assert automation.work(EXPLAIN) == ["explain"]
    found = client.explanations.wait(asked.number).found
    assert found.rows == 1_800
    assert "6 of the hours lie in an outage: their rows are left out." in found.notes
