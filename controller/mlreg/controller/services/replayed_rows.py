"""Logged rows that one version scored, and the same predictions in an offline table.

What always holds: rows are chosen by a seeded hash of the prediction id among those that the
version scored; of a prediction that was logged twice the first counts; an offline table is read in
a child with limits, and has each prediction once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlreg.controller.domain.batches import (
    PREDICTION_ID,
    SCORE,
    TIME,
    VERSION,
    InvalidRowsError,
)
from mlreg.controller.domain.parity import (
    Booleans,
    Column,
    FeatureSkew,
    column_differs,
    compare_feature,
)
from mlreg.controller.feedback.bodies import PARQUET, read_rows
from mlreg.controller.feedback.casting import cast_column
from mlreg.controller.feedback.joins import join_rows, within
from mlreg.controller.feedback.sampling import Lowest
from mlreg.controller.feedback.schemas import DTYPES, LABELS
from mlreg.controller.feedback.segments import read_groups
from mlreg.controller.services.snapshots import needed_columns
from mlreg.registry.artifacts.reading import read_blob

if TYPE_CHECKING:
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.contracts import FeatureContract

OFFLINE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """How many rows are drawn, by which seed, and which column has their score."""

    limit: int
    seed: int
    score: str = SCORE


@dataclass(frozen=True, slots=True, eq=False)
class Offline:
    """An offline table beside some logged rows.

    Attributes:
        features: the ones of the contract that it has.
        places: of the logged rows that it has too.
        rows: the table's row for each of these places, cast to the types of the log.
        unknown: columns that the contract does not have.
    """

    features: tuple[str, ...]
    places: NDArray[np.int64]
    rows: pa.Table
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Skewed:
    """The skew of a feature, and where (among `Offline.places`) it is."""

    skew: FeatureSkew
    differ: Booleans


def draw_scored(
    store: ArtifactStore,
    body: SnapshotBody,
    version: int,
    sample: Sample,
    contract: FeatureContract,
) -> pa.Table | None:
    """Return rows of a selection that a version scored, with its features; None without any.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: a segment cannot be had.
    """
    lowest = Lowest(sample.limit, sample.seed)
    columns = needed_columns([PREDICTION_ID, TIME, VERSION, sample.score, *contract.names])
    for digest in body.predictions:
        for rows in read_groups(store, digest, columns, body.range):
            if sample.score not in rows.column_names:
                continue
            mine = pc.and_(pc.equal(rows[VERSION], version), rows[sample.score].is_valid())
            lowest.add(within(rows.filter(pc.fill_null(mine, fill_value=False)), body))
    taken = lowest.taken()
    if not taken or not sum(one.num_rows for one in taken):
        return None
    return join_rows(taken, [], body).select([PREDICTION_ID, sample.score, *contract.names])


def read_offline(
    store: ArtifactStore, digest: str, rows: pa.Table, contract: FeatureContract
) -> Offline:
    """Read an uploaded Parquet table and find the logged rows in it.

    Raises:
        UnreadableBodyError: it is no Parquet file, or takes too much to read.
        InvalidRowsError: it has no prediction ids, one twice, no feature, or one of another type.
        BlobTooLargeError, BlobNotFoundError: it cannot be had.
    """
    content = read_blob(store, digest, max_bytes=OFFLINE_BYTES)
    table = read_rows(content, PARQUET, LABELS).table
    if PREDICTION_ID not in table.column_names:
        raise InvalidRowsError(column=PREDICTION_ID, problem="the offline table has no such column")
    ids = cast_column(PREDICTION_ID, table[PREDICTION_ID], pa.string())
    if len(ids) - ids.null_count > len(ids.drop_null().unique()):
        raise InvalidRowsError(column=PREDICTION_ID, problem="the offline table has one twice")
    features = tuple(name for name in contract.names if name in table.column_names)
    if not features:
        problem = "the offline table has no feature of the model"
        raise InvalidRowsError(column=contract.names[0], problem=problem)
    types = {one.name: DTYPES[one.dtype] for one in contract.features}
    cast = {name: cast_column(name, table[name], types[name]) for name in features}
    found = pc.index_in(rows[PREDICTION_ID], value_set=ids)
    places = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
    strange = set(table.column_names) - {PREDICTION_ID, *contract.names}
    return Offline(
        features,
        places,
        pa.table(cast).take(found.drop_null().combine_chunks()),
        tuple(sorted(strange)),
    )


def find_skew(rows: pa.Table, offline: Offline, tolerance: float) -> list[Skewed]:
    """Compare every feature that both have, the one that differs most often first."""
    logged = rows.take(pa.array(offline.places))
    found = []
    for name in offline.features:
        online, other = _columns(logged[name], offline.rows[name])
        differ = column_differs(online, other, tolerance)
        found.append(Skewed(compare_feature(name, (online, other), differ), differ))
    return sorted(found, key=lambda one: -one.skew.share)


def _columns(online: pa.ChunkedArray, offline: pa.ChunkedArray) -> tuple[Column, Column]:
    """Return both sides of a feature: as numbers, or as codes of values that they share."""
    online, offline = online.combine_chunks(), offline.combine_chunks()
    if not pa.types.is_string(online.type):
        return _numbers(online), _numbers(offline)
    values = pa.concat_arrays([online, offline]).unique().drop_null()
    first, second = (_codes(side, values) for side in (online, offline))
    return first, second


def _numbers(array: pa.Array) -> Column:
    values = pc.fill_null(pc.cast(array, pa.float64()), float("nan"))
    numbers = values.to_numpy(zero_copy_only=False)
    return Column(numbers, ~np.isnan(numbers), is_number=True)


def _codes(array: pa.Array, values: pa.Array) -> Column:
    codes = pc.fill_null(pc.index_in(array, value_set=values), -1).to_numpy(zero_copy_only=False)
    return Column(codes, codes >= 0, is_number=False)
