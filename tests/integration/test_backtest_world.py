"""The world of a backtest: the models it trains are those that runs would, and each only once."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.controller.domain.backtest import Mature, TooLittleHistoryError, Wanted
from mlreg.controller.domain.backtest_grid import Candidate
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import backtest_models
from mlreg.controller.services.backtest_history import History
from mlreg.controller.services.backtest_replay import Plan, replay_all
from mlreg.controller.services.backtest_world import ReplayedWorld
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.recipe import ROWS, Recipe
from mlreg.controller.trainers import child
from mlreg.controller.trainers.lightgbm import LightGBMTrainer
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

START, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
CONTRACT = FeatureContract.from_json([{"name": "x", "dtype": "float"}])
TARGET = TargetContract.from_json({"task": "binary", "max_label_delay_seconds": 864_000})
BASE = {
    "model": "m",
    "data": {"train_window": "4d", "evaluate_window": "1d", "label_delay": "1d"},
    "triggers": [{"every": "1d"}],
    "retrain": {"rounds": 5, "params": {"objective": "binary"}},
}
POLICY = parse_policy(json.dumps(BASE))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1_000)
    micros = int(START.timestamp() * 1e6) + np.arange(1_000) * 864_000_000
    return pa.table(
        {
            "prediction_id": [str(number) for number in range(1_000)],
            "time": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "label": (rng.random(1_000) < 1 / (1 + np.exp(-x))).astype(float),
            "x": x,
        }
    )


def test_a_replayed_model_is_the_one_that_a_run_would_train(rows, tmp_path):
    (tmp_path / "models").mkdir()
    world = ReplayedWorld(History.of(rows, TARGET, CONTRACT), tmp_path / "models")
    at = START + 7 * DAY
    made = world.train(Wanted(at, "full", POLICY, None))
    assert made.train_end == START + 5 * DAY  # a day of labels, and a day that judges

    job = Recipe(POLICY.retrain, "full", TARGET.to_json(), None, CONTRACT, has_bins=False).to_job()
    (tmp_path / "job.json").write_text(json.dumps({**job, "threads": 1}))
    pq.write_table(rows.slice(100, 400), tmp_path / ROWS)
    child.train(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["outcome"] == "trained"
    replayed = (tmp_path / "models" / made.key / "model.txt").read_bytes()
    assert replayed == (tmp_path / "out" / "model.txt").read_bytes()

    again = world.train(Wanted(at, "full", POLICY, None))
    later = world.train(Wanted(at + DAY, "refit", POLICY, made))
    assert (again, later.key != made.key) == (made, True)
    assert (world.models.trained, world.models.asked) == (2, 3)


def test_what_an_attempt_before_has_trained_is_found(rows, tmp_path):
    history = History.of(rows, TARGET, CONTRACT)
    wanted = Wanted(START + 7 * DAY, "full", POLICY, None)
    made = ReplayedWorld(history, tmp_path).train(wanted)
    heir = ReplayedWorld(history, tmp_path)
    assert heir.train(wanted) == made, "its seconds too"
    part = slice(700, 800)
    before = heir.models.scores(made, part)
    for name, left in (("model.txt", "half of one"), ("model.txt", None), ("kept.json", "")):
        (tmp_path / made.key / name).unlink()
        if left is not None:  # as a machine that stopped may leave it
            (tmp_path / made.key / name).write_text(left)
        anew = ReplayedWorld(history, tmp_path)
        assert anew.train(wanted).key == made.key
        assert (anew.models.scores(made, part) == before).all()
    assert [one.name for one in tmp_path.iterdir()] == [made.key], "nothing else is left"


class OfAFolder(LightGBMTrainer):
    """A trainer whose model is a folder of files, as the protocol allows."""

    def train(self, task, model):
        model.mkdir()
        return super().train(task, model / "trees")

    def score(self, model, matrix, *, threads):
        return super().score(replace(model, path=model.path / "trees"), matrix, threads=threads)


def test_a_model_may_be_a_folder_of_files(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(backtest_models, "open_trainer", lambda _kind: OfAFolder())
    history = History.of(rows, TARGET, CONTRACT)
    wanted = Wanted(START + 7 * DAY, "full", POLICY, None)
    made = ReplayedWorld(history, tmp_path).train(wanted)
    assert ReplayedWorld(history, tmp_path).train(wanted) == made, "its seconds too"


def test_a_window_is_read_with_the_labels_that_were_there(rows, tmp_path):
    late = pa.array(
        rows["time"].cast(pa.int64()).to_numpy() + 50 * 3_600_000_000, pa.timestamp("us", tz="UTC")
    )
    rows = rows.append_column("mlreg:label_time", late)
    world = ReplayedWorld(History.of(rows, TARGET, CONTRACT), tmp_path)
    made = world.train(Wanted(START + 7 * DAY, "full", POLICY, None))
    window = Interval(START + 7 * DAY, START + 8 * DAY)
    found = {
        one.monitor: one for one in world.matured(Mature(window, made, made, window.end + DAY))
    }
    assert found["labelled"].value == 0  # fifty hours late, and a day is waited for
    closed = {one.monitor: one for one in world.closed(made, window) if one.subject in {"", "x"}}
    assert closed["rows"].value == 100
    assert closed["psi"].value < 0.5


def flipped(rows, day):
    """The rows with labels that follow from x, the other way round from a day on."""
    above = rows["x"].to_numpy() > 0
    labels = np.where(np.arange(len(rows)) >= 100 * day, ~above, above).astype(float)
    return rows.set_column(rows.column_names.index("label"), "label", pa.array(labels))


def replayed(rows, folder, policy, outages=()):
    """The course of a policy over the rows, from the sixth day on."""
    folder.mkdir()
    world = ReplayedWorld(History.of(rows, TARGET, CONTRACT), folder, outages=outages)
    start = START + 5 * DAY
    first = world.train(Wanted(start, "full", POLICY, None))
    return world, replay(policy, world, first, (Interval(start, START + 10 * DAY), DAY))


def policy_of(**changes):
    return parse_policy(json.dumps({**BASE, "cooldown": "1s", **changes}))


def test_a_change_of_the_loss_is_told_and_the_rows_after_it_train(rows, tmp_path):
    rows = flipped(rows, 7)
    data = {**BASE["data"], "select": {"since_change": 150}}
    policy = policy_of(triggers=[{"drift": "concept_page_hinkley"}], data=data)
    world, course = replayed(rows, tmp_path / "models", policy)
    (run,) = course.runs
    assert world.models.get(run.made).places.min() >= 690, "no row from much before the change"
    assert (run.at, run.causes) == (START + 10 * DAY, ("collected",)), "two days after it matured"
    assert course.held == {"collecting": 1}


def test_labels_that_drift_are_told_from_those_that_trained(rows, tmp_path):
    labels = np.where(np.arange(1_000) >= 700, 1.0, rows["label"].to_numpy())
    rows = rows.set_column(rows.column_names.index("label"), "label", pa.array(labels))
    policy = policy_of(triggers=[{"drift": "label_psi", "above": 0.5, "min_rows": 50}])
    _, course = replayed(rows, tmp_path / "models", policy)
    assert course.runs[0].at == START + 9 * DAY


def test_windows_of_an_outage_say_nothing(rows, tmp_path):
    down = Interval(START + 7 * DAY, START + 7 * DAY + DAY / 2)
    shifted = rows.set_column(
        rows.column_names.index("x"), "x",
        pa.array(rows["x"].to_numpy() + 9 * (np.arange(1_000) // 100 == 7)),
    )  # fmt: skip
    rows = pa.concat_tables([shifted.slice(0, 700), shifted.slice(750)])
    policy = policy_of(triggers=[{"drift": "psi", "above": 1.0, "min_rows": 20}])
    _, course = replayed(rows, tmp_path / "models", policy, (down,))
    assert course.runs == []
    _, unsaid = replayed(rows, tmp_path / "others", policy)
    assert [one.at for one in unsaid.runs] == [START + 8 * DAY]


def test_rows_without_weights_are_chosen_from_all_the_same(rows, tmp_path):
    (tmp_path / "models").mkdir()
    data = {**BASE["data"], "select": {"reservoir": 100}}
    wanted = Wanted(START + 7 * DAY, "full", policy_of(data=data), None)
    for number, weights in enumerate((None, pa.nulls(1_000, pa.float64()))):
        weighed = rows if weights is None else rows.append_column("weight", weights)
        world = ReplayedWorld(History.of(weighed, TARGET, CONTRACT), tmp_path / f"{number}")
        (tmp_path / f"{number}").mkdir()
        assert world.train(wanted).rows == 100


def test_a_metric_that_is_not_defined_is_told(rows, tmp_path):
    labels = np.where(np.arange(1_000) >= 300, 1.0, rows["label"].to_numpy())
    rows = rows.set_column(rows.column_names.index("label"), "label", pa.array(labels))
    history = History.of(rows, TARGET, CONTRACT)
    plan = Plan(policy_of(), [Candidate("never", None, "never")], "auc")
    with pytest.raises(TooLittleHistoryError, match=r"auc is not defined on the \d+ rows"):
        replay_all(history, plan, tmp_path, lambda _line: None)
