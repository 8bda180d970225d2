"""Generated streams whose truth is known: river's generators, with drift at a known window.

Four families (SEA, Agrawal and Hyperplane: binary; Friedman: regression) and four drifts: none,
abrupt, gradual (over ten windows), recurring (there, and back two weeks later). Rows come evenly
through windows of a day; labels so many windows later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pyarrow as pa
from river.datasets import synth

from mlreg.controller.feedback.joins import LABEL_TIME
from mlreg.controller.services.backtest_history import History
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FAMILIES = ("SEA", "Agrawal", "Hyperplane", "Friedman")
DRIFTS = ("none", "abrupt", "gradual", "recurring")
DELAYS = (0, 1, 4)
"""In windows."""
GRADUAL, BACK = 10, 14
"""Windows that a gradual drift takes, and after which a recurring one goes back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How long a stream is: windows before the replay, all windows, where it drifts."""

    rows: int = 150
    warm: int = 28
    windows: int = 84
    change: int = 49


def history_of(family: str, drift: str, delay: int, seed: int, shape: Shape) -> History:
    """Return a stream as a model's past."""
    size = shape.rows * shape.windows
    drawn = list(islice(_stream(family, drift, seed, shape), size))
    names = list(drawn[0][0])
    matrix = np.array([[float(row[name]) for name in names] for row, _ in drawn])
    labels = np.array([float(label) for _, label in drawn])
    micros = int(DAY.total_seconds() * 1e6)
    times = int(START.timestamp() * 1e6) + np.arange(size) * (micros // shape.rows)
    moment = pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "prediction_id": pa.array([str(number) for number in range(size)]),
            "time": pa.array(times, moment),
            "label": labels,
            "weight": np.ones(size),
            LABEL_TIME: pa.array(times + delay * micros, moment),
            **{f"x{place}": matrix[:, place] for place in range(len(names))},
        }
    )
    task = "regression" if family == "Friedman" else "binary"
    target = TargetContract.from_json({"task": task, "max_label_delay_seconds": 30 * 86_400})
    features = [{"name": f"x{place}", "dtype": "float"} for place in range(len(names))]
    return History.of(table, target, FeatureContract.from_json(features))


def _stream(family: str, drift: str, seed: int, shape: Shape):
    change, back = shape.change * shape.rows, (shape.change + BACK) * shape.rows
    if family == "Friedman":
        return _friedman(drift, seed, change, back)
    before, after = _concepts(family, seed)
    if drift == "none":
        return iter(before)
    width = GRADUAL * shape.rows if drift == "gradual" else _abrupt(change)
    middle = change + (width // 2 if drift == "gradual" else 0)
    once = synth.ConceptDriftStream(before, after, seed=seed, position=middle, width=width)
    if drift != "recurring":
        return iter(once)
    again = _concepts(family, seed)[0]
    return iter(
        synth.ConceptDriftStream(once, again, seed=seed, position=back, width=_abrupt(back))
    )


def _abrupt(position: int) -> int:
    """Return the least width that river can do: its sigmoid overflows at 700 widths' quarters."""
    return max(1, position // 150)


def _concepts(family: str, seed: int):
    if family == "SEA":
        return [synth.SEA(variant=variant, noise=0.1, seed=seed) for variant in (0, 3)]
    if family == "Agrawal":
        return [
            synth.Agrawal(classification_function=number, perturbation=0.05, seed=seed)
            for number in (0, 3)
        ]
    return [
        synth.Hyperplane(seed=seed + number, n_features=8, noise_percentage=0.05)
        for number in (0, 1_000)
    ]


def _friedman(drift: str, seed: int, change: int, back: int):
    if drift == "none":
        return iter(synth.Friedman(seed=seed))
    if drift == "gradual":
        width = max(1, back - change)
        return iter(synth.FriedmanDrift("gsg", (change, change + 100 * width), width, seed=seed))
    end = back if drift == "recurring" else change + 10**9
    return iter(synth.FriedmanDrift("gra", (change, end), seed=seed))
