"""A backtest of 100 policies over a year of daily windows: 900 rows a day, 15 features.

Ten triggers, five lanes, two selections, on a stream whose relation of features and label turns
slowly. What is timed is what the worker's child does: everything but reading the rows. Processor
seconds stand beside the wall time, for a machine that does other things too; `--json` runs a tenth
of the grid over a quarter of the year, and scales nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.report import report
from mlreg.controller.domain.backtest_grid import Grid, candidates
from mlreg.controller.services.backtest_history import History
from mlreg.controller.services.backtest_replay import Plan, replay_all
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, ROWS, FEATURES = 365, 900, 15
BASE = {
    "model": "flights",
    "data": {"train_window": "60d", "evaluate_window": "7d", "label_delay": "1d"},
    "triggers": [{"every": "7d"}],
    "retrain": {
        "params": {"objective": "binary", "num_leaves": 15, "min_data_in_leaf": 100},
        "rounds": 60,
    },
}
GRID = {
    "triggers": {
        **{f"every {days} days": [{"every": f"{days}d"}] for days in (7, 14, 28, 56)},
        **{f"{rows:,} rows": [{"labelled_rows": rows}] for rows in (6_000, 25_000)},
        "psi unusual": [{"drift": "psi", "unusual": True, "windows": 2}],
        "psi > 0.1": [{"drift": "psi", "above": 0.1}],
        "auc drops": [{"performance": "auc", "drop": 0.03, "min_rows": 3_000}],
        "loss drops, or 56 days": [
            {"performance": "log_loss", "drop": 0.01, "min_rows": 3_000},
            {"every": "56d"},
        ],
    },
    "lanes": {
        "full": {"full": {}},
        "refit": {"refit": {}, "full": {"every": "28d"}},
        "refit long": {"refit": {}, "full": {"every": "84d"}},
        "continue": {"continue": {"rounds": 10, "max_trees": 200}, "full": {"every": "84d"}},
        "ladder": {
            "refit": {},
            "continue": {"every": "14d", "rounds": 10, "max_trees": 200},
            "full": {"every": "56d"},
        },
    },
    "selections": {"60d": {}, "30d": {"train_window": "30d"}},
}


def stream(days: int) -> History:
    """Return a year whose label turns from one feature to another, with a season in two more."""
    rng = np.random.default_rng(7)
    size = days * ROWS
    day = np.arange(size) // ROWS
    matrix = rng.normal(size=(size, FEATURES))
    matrix[:, 3:5] += np.sin(2 * np.pi * day / 365)[:, None]
    turn = np.pi / 2 * day / 365
    signal = matrix[:, 0] * np.cos(turn) + matrix[:, 1] * np.sin(turn) + 0.5 * matrix[:, 2]
    labels = (rng.random(size) < 1 / (1 + np.exp(-signal))).astype(float)
    micros = 86_400_000_000 // ROWS
    times = int(START.timestamp() * 1e6) + np.arange(size) * micros
    names = [f"x{place}" for place in range(FEATURES)]
    table = pa.table(
        {
            "prediction_id": pa.array([str(number) for number in range(size)]),
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "label": labels,
            **dict(zip(names, matrix.T, strict=True)),
        }
    )
    target = TargetContract.from_json({"task": "binary", "max_label_delay_seconds": 864_000})
    contract = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in names])
    return History.of(table, target, contract)


def measure() -> dict[str, float]:
    """Replay the whole grid, or with `--json` a part of it."""
    whole = "--json" not in sys.argv
    grid = Grid.model_validate(GRID)
    tried = candidates(BASE, grid, parse_policy)
    days = DAYS
    if not whole:
        tried, days = [tried[0], *tried[2::10]], 120
    plan = Plan(parse_policy(json.dumps(BASE)), tried, "log_loss", seconds=3_600.0)
    history = stream(days)
    with (
        tempfile.TemporaryDirectory(prefix="mlreg-backtest-") as name,
        Path(os.devnull).open("w", encoding="utf-8") as sink,
        redirect_stdout(sink),
    ):
        began, worked = time.perf_counter(), time.process_time()
        found = replay_all(history, plan, Path(name), lambda line: print(line, file=sys.stderr))
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
    if len(found["policies"]) != len(tried):
        raise RuntimeError("not every policy was replayed")
    print(*found["answer"], sep="\n", file=sys.stderr)
    kind = "year of 100 policies" if whole else "120 days of 11 policies"
    return {
        f"{kind}, seconds": seconds,
        f"{kind}, CPU seconds": processor,
        "models trained": float(found["trained"]),
        "models asked for": float(found["asked"]),
    }


TARGETS = {
    "year of 100 policies, seconds": ("<=", 600.0),
    "year of 100 policies, CPU seconds": ("<=", 1_200.0),
    "120 days of 11 policies, CPU seconds": ("<=", 60.0),
}

if __name__ == "__main__":
    report(measure, TARGETS)
