"""The Arrow schemas of logged rows: what a batch, a segment and a snapshot hold.

What always holds: the feature columns are those of the model's feature schema, in its order; every
time is in microseconds UTC; what only some models or routers log (`ABSENT`) is a column only where
it was sent, so a segment may be without it; a segment has a batch's columns, then the number of the
batch and of the row in it, which tell what was logged first.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.controller.domain.batches import (
    ARM,
    BATCH,
    ENTITY,
    LABEL,
    PREDICTION_ID,
    PROPENSITY,
    ROW,
    SCORE,
    SCORES,
    TIME,
    VERSION,
    WEIGHT,
    Kind,
)
from mlreg.registry.domain.contracts import FeatureSchema

if TYPE_CHECKING:
    from mlreg.registry.store.tables import Model

MOMENT = pa.timestamp("us", tz="UTC")
DTYPES = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "category": pa.string()}
NUMBERS = pa.list_(pa.float64())
ABSENT = frozenset({ARM, PROPENSITY, SCORES})
"""Columns that are left out where they were not sent; of the other optional ones all are null."""
OPTIONAL = frozenset({ENTITY, WEIGHT, VERSION, SCORE}) | ABSENT
ARRIVAL = (pa.field(BATCH, pa.int64()), pa.field(ROW, pa.int32()))


def batch_schema(model: Model, kind: Kind) -> pa.Schema:
    """Return the columns of a batch of this model; no feature can have the name of one of ours."""
    if kind == "labels":
        return LABELS
    return _predictions(json.dumps(model.feature_schema or []), model.task)


def segment_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a segment: a batch's, and when each row arrived."""
    return pa.schema([*schema, *ARRIVAL])


LABELS = pa.schema(
    [
        pa.field(PREDICTION_ID, pa.string(), nullable=False),
        pa.field(TIME, MOMENT, nullable=False),
        pa.field(LABEL, pa.float64(), nullable=False),
        pa.field(WEIGHT, pa.float64()),
    ]
)
PREDICTIONS = (
    pa.field(PREDICTION_ID, pa.string(), nullable=False),
    pa.field(TIME, MOMENT, nullable=False),
    pa.field(VERSION, pa.int32()),
    pa.field(SCORE, pa.float64()),
    pa.field(ENTITY, pa.string()),
)
ROUTED = (pa.field(ARM, pa.string()), pa.field(PROPENSITY, pa.float64()))
CLASS_SCORES = pa.field(SCORES, NUMBERS)


@lru_cache(maxsize=256)
def _predictions(features: str, task: str) -> pa.Schema:
    declared = json.loads(features)
    columns = FeatureSchema.from_json(declared).features if declared else ()
    scores = [CLASS_SCORES] if task == "multiclass" else []
    own = (*PREDICTIONS, *scores, *ROUTED)
    return pa.schema([*own, *(pa.field(f.name, DTYPES[f.dtype]) for f in columns)])
