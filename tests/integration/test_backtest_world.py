"""The world of a backtest: the models it trains are those that runs would, and each only once."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.controller.domain.backtest import Mature, Wanted
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.backtest_history import History
from mlreg.controller.services.backtest_world import ReplayedWorld
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.recipe import ROWS, Recipe
from mlreg.controller.trainers import child
from mlreg.registry.domain.contracts import FeatureContract, TargetContract

START, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
CONTRACT = FeatureContract.from_json([{"name": "x", "dtype": "float"}])
TARGET = TargetContract.from_json({"task": "binary", "max_label_delay_seconds": 864_000})
POLICY = parse_policy(
    json.dumps(
        {
            "model": "m",
            "data": {"train_window": "4d", "evaluate_window": "1d", "label_delay": "1d"},
            "triggers": [{"every": "1d"}],
            "retrain": {"rounds": 5, "params": {"objective": "binary"}},
        }
    )
)


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
