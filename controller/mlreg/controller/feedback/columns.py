"""Logged rows as the columns that profiles are made of, hour by hour.

What always holds: codes are indices into the bins' categories; null is -1 or not-a-number, a value
that the contract does not know is -2. A column that the rows do not have is missing in all of them.
The score of a row with `scores` of classes is the class of the highest, as its label would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import SCORES, TIME, VERSION
from mlreg.controller.domain.bins import NULL_CODE, SCORE, UNSEEN_CODE, Bins, ColumnBins
from mlreg.controller.domain.profile import Profile, profile_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.registry.domain.contracts import FeatureContract

HOUR_MICROSECONDS = 3_600_000_000
NO_VERSION = 0


@dataclass(frozen=True, slots=True)
class HourProfile:
    """The profile of one hour's rows of one version (0: logged without one)."""

    start: datetime
    version: int
    profile: Profile


def profile_table(table: pa.Table, bins: Bins) -> Profile:
    """Summarise all rows of a table under some bins."""
    return profile_rows(encoded(table, bins), bins)


def profile_hours(table: pa.Table, bins: Bins) -> list[HourProfile]:
    """Summarise the rows of each hour (UTC) and version, in that order."""
    hours = pc.cast(table[TIME], pa.int64()).to_numpy() // HOUR_MICROSECONDS
    versions = pc.fill_null(table[VERSION], NO_VERSION).to_numpy().astype(np.int64)
    order = np.lexsort((versions, hours))
    hours, versions = hours[order], versions[order]
    changes = np.flatnonzero((np.diff(hours) != 0) | (np.diff(versions) != 0)) + 1
    columns = {name: values[order] for name, values in encoded(table, bins).items()}
    profiles = []
    for first, end in zip([0, *changes], [*changes, len(order)], strict=True):
        part = {name: values[first:end] for name, values in columns.items()}
        start = datetime.fromtimestamp(int(hours[first]) * 3600, UTC)
        profiles.append(HourProfile(start, int(versions[first]), profile_rows(part, bins)))
    return profiles


def training_columns(table: pa.Table, contract: FeatureContract) -> dict[str, NDArray[np.generic]]:
    """Return what `make_bins` takes: every feature of the contract, and the score or label."""
    columns: dict[str, NDArray[np.generic]] = {}
    for feature in contract.features:
        categories = ("false", "true") if feature.dtype == "bool" else feature.categories
        values = _column(table, feature.name)
        if categories is None:
            columns[feature.name] = _numbers(values)
        else:
            columns[feature.name] = _codes(values, categories)
    if "label" in table.column_names:
        columns["label"] = _numbers(table["label"])
    return columns


def encoded(table: pa.Table, bins: Bins) -> dict[str, NDArray[np.generic]]:
    """Return every column of the bins: numbers, or codes."""
    return {column.name: _values(table, column) for column in bins.columns}


def _values(table: pa.Table, column: ColumnBins) -> NDArray[np.generic]:
    values = _column(table, column.name)
    if column.name == SCORE and SCORES in table.column_names:
        return _decided(table[SCORES], _numbers(values))
    return _codes(values, column.categories) if column.scale == "codes" else _numbers(values)


def _decided(scores: pa.ChunkedArray, otherwise: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the class with the highest score; of rows without scores something else."""
    lists = scores.combine_chunks()
    there = lists.is_valid().to_numpy(zero_copy_only=False)
    if not there.any():
        return otherwise
    flat = lists.drop_null().flatten().to_numpy(zero_copy_only=False)
    found = np.array(otherwise, dtype=np.float64)
    found[there] = flat.reshape(int(there.sum()), -1).argmax(axis=1)
    return found


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table[name]
    return pa.chunked_array([pa.nulls(table.num_rows)])


def _codes(values: pa.ChunkedArray, categories: tuple[str, ...]) -> NDArray[np.generic]:
    if pa.types.is_boolean(values.type):
        known = pc.fill_null(pc.cast(values, pa.int64()), NULL_CODE)
        return np.asarray(known.to_numpy())
    found = pc.index_in(pc.cast(values, pa.string()), value_set=pa.array(categories, pa.string()))
    missing = pc.if_else(pc.is_null(values), NULL_CODE, UNSEEN_CODE)
    return np.asarray(pc.coalesce(pc.cast(found, pa.int64()), missing).to_numpy())


def _numbers(values: pa.ChunkedArray) -> NDArray[np.generic]:
    return np.asarray(pc.cast(values, pa.float64()).to_numpy())
