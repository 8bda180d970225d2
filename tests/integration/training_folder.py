"""Folders as the worker makes them for a trainer's child: rows, job, result."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.controller.trainers.child import train

SCHEMA = [
    {"name": "temp", "dtype": "float", "default": 0.0, "at_risk": True},
    {"name": "wind", "dtype": "float", "at_risk": True},
    {"name": "hour", "dtype": "int"},
    {"name": "carrier", "dtype": "category"},
]
TARGET = {"task": "binary", "max_label_delay_seconds": 86400}
START = datetime(2013, 1, 1, tzinfo=UTC)
EFFECT = {"AA": 0.5, "B6": -0.5, "DL": 0.0, "UA": 1.0}


def make_rows(days=10, per_day=200, seed=0, shift=0.0, start=START):
    """Rows whose label depends on carrier, temp and hour."""
    rng = np.random.default_rng(seed)
    size = days * per_day
    seconds = np.sort(rng.integers(0, days * 86400, size))
    temp, wind = rng.normal(size=size), rng.normal(size=size)
    hour = (seconds // 3600 % 24).astype(np.int64)
    carrier = rng.choice(list(EFFECT), size)
    logit = temp + np.array([EFFECT[one] for one in carrier]) + hour / 12 - 1.5 + shift
    label = (rng.random(size) < 1 / (1 + np.exp(-logit))).astype(float)
    wind[rng.random(size) < 0.1] = np.nan
    return pa.table(
        {
            "prediction_id": [f"p{seed}-{number}" for number in range(size)],
            "time": pa.array(
                [start + timedelta(seconds=int(one)) for one in seconds], pa.timestamp("us", "UTC")
            ),
            "version": pa.nulls(size, pa.int32()),
            "score": pa.nulls(size, pa.float64()),
            "label": label,
            "weight": pa.nulls(size, pa.float64()),
            "temp": temp,
            "wind": pa.array(wind, from_pandas=True),
            "hour": hour,
            "carrier": carrier.tolist(),
        }
    )


def write_job(folder, table=None, **job):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(make_rows() if table is None else table, folder / "rows.parquet")
    (folder / "job.json").write_text(json.dumps({"data": ["rows.parquet"], **job}))
    return folder


def train_job(folder, table=None, **changes):
    job = {
        "target": TARGET,
        "schema": SCHEMA,
        "params": {"num_leaves": 7, "learning_rate": 0.1, "min_data_in_leaf": 20},
        "rounds": 20,
        "seed": 7,
        **changes,
    }
    return write_job(folder, table, **job)


def read_result(folder):
    return json.loads((folder / "result.json").read_text())


def check_refused(folder, said):
    """Have a job trained, and see it refused in one line that says this."""
    train(folder)
    result = read_result(folder)
    assert result["outcome"] == "failed"
    assert said in result["message"]
    assert "\n" not in result["message"]
    assert not (folder / "out").exists()
