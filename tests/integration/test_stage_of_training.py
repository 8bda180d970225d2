"""What a training leaves beside its model: measured, bounded, and never fatal to the training."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.controller.trainers import child, stage
from mlreg.registry.domain.curves import read_curves
from tests.integration.training_folder import make_rows, read_result, train_job

HOLDOUT = "holdout.parquet"


def trained(folder, holdout=None, **options):
    """Do a training with that hold-out, and return its result and its curves by name."""
    asked = {"holdout": None if holdout is None else HOLDOUT}
    train_job(folder, stage=asked, **options)
    if holdout is not None:
        pq.write_table(holdout, folder / HOLDOUT)
    child.train(folder)
    result = read_result(folder)
    assert result["outcome"] == "trained", result
    curves = read_curves((folder / "stage" / "loss_curve.csv").read_bytes())
    return result, {curve.name: curve for curve in curves}


def test_metrics_are_of_the_hold_out_and_not_of_the_training_rows(tmp_path):
    same, curves = trained(tmp_path / "same", make_rows())
    other, _ = trained(tmp_path / "other", make_rows(seed=1, shift=2.0))
    metrics = same["holdout"]["metrics"]
    assert curves["train log_loss"].last == pytest.approx(metrics["log_loss"])
    assert other["holdout"]["metrics"]["log_loss"] > metrics["log_loss"] + 0.05
    assert same["model_digest"] == other["model_digest"], "nothing of it is learnt"


def test_kept_rows_and_points_of_the_curve_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "MAX_KEPT_ROWS", 500)
    monkeypatch.setattr(stage, "CURVE_POINTS", 7)
    result, curves = trained(tmp_path / "many", make_rows(seed=1))
    assert (result["holdout"]["rows"], result["holdout"]["kept"]) == (2000, 500)
    times = pq.read_table(tmp_path / "many" / "stage" / "holdout.parquet")["time"].to_pylist()
    assert times == sorted(times)
    assert (times[-1] - times[0]).days >= 9, "from all of the window"
    assert curves["holdout log_loss"].count == 7


def test_rows_without_a_label_are_left_out(tmp_path):
    rows = make_rows(seed=1)
    half = pa.array([*[None] * 1000, *rows["label"].to_pylist()[1000:]], pa.float64())
    place = rows.column_names.index("label")
    result, _ = trained(tmp_path / "half", rows.set_column(place, "label", half))
    assert result["holdout"]["rows"] == 1000


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.drop_columns(["temp"]), "temp"),
        (lambda rows: rows.set_column(4, "label", pa.nulls(len(rows), pa.float64())), "label"),
        (lambda rows: rows.set_column(4, "label", pa.array([0.5] * len(rows))), "0 or 1"),
    ],
    ids=["no column", "no labels", "no label of the task"],
)
def test_a_hold_out_that_cannot_be_measured_fails_no_training(tmp_path, capsys, spoil, said):
    result, curves = trained(tmp_path / "bad", spoil(make_rows(seed=1)))
    assert result["holdout"] is None
    assert set(curves) == {"train log_loss"}
    lines = capsys.readouterr().out.splitlines()
    assert any("the hold-out is not measured" in line and said in line for line in lines), lines


def test_one_class_leaves_the_metrics_that_are_defined(tmp_path):
    rows = make_rows(seed=1)
    result, _ = trained(tmp_path / "one", rows.set_column(4, "label", pa.array([1.0] * len(rows))))
    metrics = set(result["holdout"]["metrics"])
    assert {"log_loss", "brier"} <= metrics
    assert "auc" not in metrics


def test_a_rebuild_leaves_nothing(tmp_path):
    child.train(train_job(tmp_path / "plain"))
    assert read_result(tmp_path / "plain")["holdout"] is None
    assert not (tmp_path / "plain" / "stage").exists()
