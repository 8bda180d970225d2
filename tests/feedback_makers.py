"""Makers of logged rows: a model with features, and tables of predictions and labels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model

NOW = datetime(2013, 7, 1, tzinfo=UTC)
START = datetime(2013, 6, 1, tzinfo=UTC)
FEATURES = [
    {"name": "temp", "dtype": "float", "at_risk": True, "default": 0.0},
    {"name": "hour", "dtype": "int"},
    {"name": "carrier", "dtype": "category", "categories": ["AA", "UA"]},
    {"name": "rain", "dtype": "bool"},
]


def make_model(database, name="flights", features=FEATURES, delay=timedelta(days=2)):
    """Create a binary model and return its row."""
    target = TargetContract.from_json(
        {"task": "binary", "max_label_delay_seconds": int(delay.total_seconds())}
    )
    schema = FeatureSchema.from_json(features)
    with database.writing() as session:
        return create_model(
            session, ModelSpecification(name, target, schema), actor=SYSTEM, now=NOW
        )


def make_store(folder):
    """Return an artifact store in a folder."""
    return FolderStore(folder)


def predictions(first, count, *, start=START, step=timedelta(minutes=10), seed=0):
    """Return `count` rows numbered from `first`, one each `step`."""
    rng = np.random.default_rng([seed, first])
    numbers = range(first, first + count)
    return pa.table(
        {
            "prediction_id": [f"p{number:06d}" for number in numbers],
            "time": pa.array(
                [start + number * step for number in numbers], pa.timestamp("us", tz="UTC")
            ),
            "score": rng.random(count),
            "temp": rng.normal(20.0, 8.0, count),
            "hour": rng.integers(0, 24, count),
            "carrier": rng.choice(["AA", "UA", "ZZ"], count),
            "rain": rng.random(count) < 0.3,
        }
    )


def labels(rows, *, delay=timedelta(hours=1), seed=0):
    """Return one label for each of some predictions."""
    rng = np.random.default_rng([seed, 1])
    return pa.table(
        {
            "prediction_id": rows["prediction_id"],
            "time": pa.array(
                [time + delay for time in rows["time"].to_pylist()], pa.timestamp("us", tz="UTC")
            ),
            "label": (rng.random(rows.num_rows) < 0.4).astype(float),
        }
    )
