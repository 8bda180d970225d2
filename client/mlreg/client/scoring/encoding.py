"""Named columns to the float64 matrix that a model reads, by the feature contract.

What always holds: the order of the matrix is the contract's, whatever the order of the columns;
a category's code is its index in the contract's `categories`, never one that pandas or LightGBM
made; null, NaN and (where the contract says `unseen: missing`) unknown categories are NaN; where it
says `unseen: hash` they are codes behind the known ones, the same for the same value for ever; a
column that is missing or of another dtype is an error that names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlreg.client.scoring.errors import (
    ColumnError,
    ColumnTypeError,
    MissingColumnError,
    UnseenCategoryError,
)

MISSING = -1
UNSEEN = -2
Dtype = Literal["float", "int", "bool", "category"]
Columns: TypeAlias = Mapping[str, Any] | pa.Table | pa.RecordBatch
"""Column name to a list, numpy array or Arrow array; or an Arrow table. Others are ignored."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a contract, as far as encoding needs it."""

    name: str
    dtype: Dtype
    categories: tuple[str, ...] = ()
    unseen: Literal["missing", "error", "hash"] = "missing"
    buckets: int = 0


@dataclass(frozen=True, slots=True)
class Encoded:
    """The rows of a model's input.

    Attributes:
        matrix: float64, rows by features in the contract's order; NaN is missing.
        codes: category features as codes, where `MISSING` and `UNSEEN` are told apart.
    """

    matrix: NDArray[np.float64]
    codes: dict[str, NDArray[np.int32]]

    @property
    def unseen(self) -> dict[str, int]:
        """Feature name to the number of its values that the contract does not know."""
        counts = {name: int((codes == UNSEEN).sum()) for name, codes in self.codes.items()}
        return {name: count for name, count in counts.items() if count}


def features_of(contract: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Read the features out of a feature contract's JSON (`{"format": 1, "features": [...]}`)."""
    return tuple(
        Feature(
            name=feature["name"],
            dtype=feature["dtype"],
            categories=tuple(feature.get("categories") or ()),
            unseen=feature.get("unseen") or "missing",
            buckets=feature.get("buckets") or 0,
        )
        for feature in contract["features"]
    )


def encode(contract: Mapping[str, Any], columns: Columns) -> Encoded:
    """Return the matrix of these columns under a feature contract.

    Raises:
        MissingColumnError: a feature is not among the columns.
        ColumnTypeError: a column's values are not of its feature's dtype.
        UnseenCategoryError: an unknown category where the contract says `unseen: error`.
        ColumnError: columns of unequal length, or an infinite value.
    """
    features = features_of(contract)
    arrays = [_array(feature, columns) for feature in features]
    rows = len(arrays[0]) if arrays else 0
    matrix = np.empty((rows, len(features)), dtype=np.float64)
    coded: dict[str, NDArray[np.int32]] = {}
    for position, (feature, array) in enumerate(zip(features, arrays, strict=True)):
        if len(array) != rows:
            raise ColumnError(column=feature.name, cause=f"has {len(array)} rows, not {rows}")
        if feature.dtype == "category":
            codes = coded[feature.name] = _codes(feature, array)
            matrix[:, position] = np.where(codes < 0, np.nan, codes)
            if feature.buckets:
                _fill_buckets(feature, array, codes, matrix[:, position])
        else:
            matrix[:, position] = _numbers(feature, array)
    return Encoded(matrix=matrix, codes=coded)


def bucket_of(value: str, buckets: int) -> int:
    """Return which of so many buckets a category that no contract lists belongs to: by its hash."""
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest()) % buckets


def _fill_buckets(
    feature: Feature, array: pa.Array, codes: NDArray[np.int32], column: NDArray[np.float64]
) -> None:
    """Write the codes of unknown categories, which stand behind those of the known ones."""
    unknown = np.flatnonzero(codes == UNSEEN)
    if not len(unknown):
        return
    found = array.take(pa.array(unknown)).dictionary_encode()
    values = found.dictionary.to_pylist()
    buckets = np.array([bucket_of(str(value), feature.buckets) for value in values])
    column[unknown] = len(feature.categories) + buckets[found.indices.to_numpy()]


def _array(feature: Feature, columns: Columns) -> pa.Array:
    names = columns.column_names if isinstance(columns, pa.Table) else _names(columns)
    if feature.name not in names:
        raise MissingColumnError(column=feature.name)
    return as_array(feature.name, columns[feature.name])


def _names(columns: Mapping[str, Any] | pa.RecordBatch) -> Any:  # noqa: ANN401 - a container
    return columns.schema.names if isinstance(columns, pa.RecordBatch) else columns


def as_array(name: str, values: object) -> pa.Array:
    """Return any kind of column as one Arrow array, plain (no dictionary), NaN as null.

    Raises:
        ColumnError: the values are of mixed types.
    """
    array = values
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not isinstance(array, pa.Array):
        try:
            array = pa.array(array, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ColumnError(column=name, cause=f"mixes types: {error}") from error
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def _numbers(feature: Feature, array: pa.Array) -> NDArray[np.float64]:
    kind = array.type
    plain = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if not (plain or pa.types.is_null(kind)):
        raise ColumnTypeError(column=feature.name, dtype=feature.dtype, found=str(kind))
    values = cast(
        "NDArray[np.float64]", array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    )
    _check_numbers(feature, values)
    return values


def _check_numbers(feature: Feature, values: NDArray[np.float64]) -> None:
    if np.isinf(values).any():
        raise ColumnError(column=feature.name, cause="holds an infinite value")
    if feature.dtype == "float":
        return
    known = values[~np.isnan(values)]
    if feature.dtype == "bool" and not np.isin(known, (0.0, 1.0)).all():
        raise ColumnTypeError(column=feature.name, dtype="bool", found="other numbers than 0 and 1")
    if feature.dtype == "int" and (known != np.floor(known)).any():
        raise ColumnTypeError(column=feature.name, dtype="int", found="numbers with a fraction")


def _codes(feature: Feature, array: pa.Array) -> NDArray[np.int32]:
    if pa.types.is_null(array.type):
        return np.full(len(array), MISSING, dtype=np.int32)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise ColumnTypeError(column=feature.name, dtype="text", found=str(array.type))
    found = pc.index_in(array, value_set=pa.array(feature.categories, array.type))
    unknown = found.null_count - array.null_count
    if unknown and feature.unseen == "error":
        first = pc.filter(array, pc.and_(found.is_null(), array.is_valid()))[0].as_py()
        raise UnseenCategoryError(column=feature.name, value=str(first), rows=unknown)
    fallback = MISSING if not unknown else pc.if_else(array.is_null(), MISSING, UNSEEN)
    codes: NDArray[np.int32] = pc.coalesce(found, fallback).cast(pa.int32()).to_numpy()
    return codes
