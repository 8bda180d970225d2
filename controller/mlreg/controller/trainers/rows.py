"""Logged rows from Parquet files to what trainers and judges read."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlreg.client.scoring.encoding import as_array
from mlreg.controller.domain.batches import OWN_WEIGHT
from mlreg.controller.domain.metrics.ranking import MAX_GRADE
from mlreg.controller.trainers.errors import TrainingRowsError
from mlreg.registry.domain.contracts import FeatureContract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlreg.registry.domain.contracts import Feature, FeatureSchema
    from mlreg.registry.domain.target_contract import TargetContract

LABEL = "label"
WEIGHT = "weight"
TIME = "time"
ENTITY = "entity"
MOST_WEIGHT, LEAST_WEIGHT = 1e30, 1e-30
"""Libraries hold weights in 32 bits: larger ones become infinite, and smaller ones nothing."""
LEAST_SEEN = 20
"""A category of fewer rows is not worth another contract: no leaf of LightGBM's is so small."""


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows that have a label.

    Attributes:
        table: their columns.
        groups: of a ranking, the group of each row as a number; else None.
        unlabelled: how many rows had none and were left out.
    """

    table: pa.Table
    labels: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    unlabelled: int
    groups: NDArray[np.intp] | None = None

    @property
    def positives(self) -> int:
        """How many labels are above 0."""
        return int((self.labels > 0).sum())


def read_table(folder: Path, paths: Sequence[str]) -> pa.Table:
    """Return the rows of the files, one after the other."""
    return pa.concat_tables([pq.read_table(folder / path) for path in paths])


def labelled_rows(table: pa.Table, target: TargetContract) -> LabelledRows:
    """Return the rows with a label, checked for training.

    Raises:
        TrainingRowsError: no rows, a label that is NaN or no label of the task, one class only.
    """
    if LABEL not in table.column_names:
        raise TrainingRowsError(cause="there is no column `label`")
    known = table.filter(pc.is_valid(table[LABEL]))
    labels = numbers(known, LABEL)
    groups = groups_of(known, target)
    rows = LabelledRows(known, labels, weights_of(known), len(table) - len(known), groups)
    _check_labels(labels, target)
    check_classes(labels, rows.weights, target)
    return rows


def own_weights_of(table: pa.Table) -> NDArray[np.float64] | None:
    """Return the weights with which rows were logged, as a judgement counts them.

    What a selection made of them for the training is left out.

    Raises:
        TrainingRowsError: as `weights_of`.
    """
    return weights_of(table, OWN_WEIGHT if OWN_WEIGHT in table.column_names else WEIGHT)


def weights_of(table: pa.Table, column: str = WEIGHT) -> NDArray[np.float64] | None:
    """Return the weights, a row without one counting once; None where no row has one.

    Raises:
        TrainingRowsError: a weight is negative, not finite or too large, or all are too small.
    """
    if column not in table.column_names or table[column].null_count == len(table):
        return None
    weights = numbers(
        table.set_column(
            table.column_names.index(column), column, pc.fill_null(table[column], 1.0)
        ),
        column,
    )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise TrainingRowsError(cause="a weight is negative or not finite")
    check_weights(weights)
    return weights


def check_weights(weights: NDArray[np.float64] | None) -> None:
    """Check that a library can hold the weights, and that there is one to learn from.

    Raises:
        TrainingRowsError: it cannot, or there is none.
    """
    if weights is None or not len(weights):
        return
    largest = float(weights.max())
    if largest == 0:
        raise TrainingRowsError(cause="every weight is 0")
    if largest > MOST_WEIGHT:
        cause = f"a row has the weight {largest:g}, and {MOST_WEIGHT:g} is the most"
        raise TrainingRowsError(cause=cause)
    if largest < LEAST_WEIGHT:
        raise TrainingRowsError(cause=f"every weight is below {LEAST_WEIGHT:g}")


def check_classes(
    labels: NDArray[np.float64], weights: NDArray[np.float64] | None, target: TargetContract
) -> None:
    """Check that rows of two classes count at least, where there are classes.

    Raises:
        TrainingRowsError: one class only.
    """
    if target.task not in {"binary", "multiclass"}:
        return
    counted = labels if weights is None else labels[weights > 0]
    if (counted == counted[0]).all():
        whose = "" if len(counted) == len(labels) else " of a row whose weight is not 0"
        cause = f"every label{whose} is {counted[0]:g}; two classes are needed"
        raise TrainingRowsError(cause=cause)


def numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a numeric column as float64, null as NaN.

    Raises:
        TrainingRowsError: it is no numeric column.
    """
    column = table[name]
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise TrainingRowsError(cause=f"column {name!r} holds {kind}, not numbers")
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return values


def _check_labels(labels: NDArray[np.float64], target: TargetContract) -> None:
    if not len(labels):
        raise TrainingRowsError(cause="none of them has a label")
    broken = ~np.isfinite(labels)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        cause = f"{int(broken.sum())} labels are NaN or infinite, the first in row {first}"
        raise TrainingRowsError(cause=cause)
    check_labels_of_task(labels, target)


def check_labels_of_task(labels: NDArray[np.float64], target: TargetContract) -> None:
    """Check that finite labels are labels of the task.

    Raises:
        TrainingRowsError: one is not.
    """
    problem = None
    if target.task == "binary" and not np.isin(labels, (0.0, 1.0)).all():
        problem = "a binary label must be 0 or 1"
    elif target.task == "multiclass" and not np.isin(labels, range(len(target.classes))).all():
        problem = f"a label must be the number of a class, 0 to {len(target.classes) - 1}"
    elif target.task == "ranking" and not np.isin(labels, range(MAX_GRADE + 1)).all():
        problem = f"the label of a ranking is a whole grade of 0 to {MAX_GRADE}"
    if problem is not None:
        raise TrainingRowsError(cause=problem)


def tell_gaps(labels: NDArray[np.float64], target: TargetContract) -> None:
    """Say in the log which classes of several no row has: a model learns nothing of them."""
    if target.task != "multiclass":
        return
    counts = np.bincount(labels.astype(np.intp), minlength=len(target.classes))
    for name, count in zip(target.classes, counts, strict=True):
        if not count:
            sys.stdout.write(f"no row has the class {name!r}: the model learns nothing of it\n")


def groups_of(table: pa.Table, target: TargetContract) -> NDArray[np.intp] | None:
    """Return the group of each row of a ranking as a number; None for other tasks.

    Raises:
        TrainingRowsError: the rows have no column of groups, or a row has no group.
    """
    if target.task != "ranking":
        return None
    column = _group_column(table, target)
    groups = group_codes(table, target)
    if groups is None:
        raise TrainingRowsError(cause=f"there is no column {target.group_key!r}, the group key")
    missing = int((groups < 0).sum())
    if missing:
        raise TrainingRowsError(cause=f"{missing} rows have no {column!r}, their group")
    return groups


def group_codes(table: pa.Table, target: TargetContract) -> NDArray[np.intp] | None:
    """Return the group of each row as a number, -1 where it has none; None without the column."""
    column = _group_column(table, target)
    if column is None:
        return None
    codes = as_array(column, table[column]).dictionary_encode().indices.fill_null(-1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.intp)


def _group_column(table: pa.Table, target: TargetContract) -> str | None:
    """Return the target's group key, or `entity`, under which the log keeps it."""
    names = (target.group_key, ENTITY)
    return next((name for name in names if name is not None and name in table.column_names), None)


def learn_categories(
    contract: FeatureContract, schema: FeatureSchema, table: pa.Table
) -> FeatureContract:
    """Return the contract with new categories behind the known ones, whose codes stay.

    Learnt are values of `LEAST_SEEN` rows and more, where the schema leaves the categories open;
    where it says `unseen: error` they are an error as before.

    Raises:
        ColumnError: a column mixes types.
    """
    learnt = [
        replace(known, categories=(*(known.categories or ()), *_new_values(known, table)))
        if not declared.is_pinned and known.unseen != "error" and known.name in table.column_names
        else known
        for known, declared in zip(contract.features, schema.features, strict=True)
    ]
    return FeatureContract(tuple(learnt))


def _new_values(feature: Feature, table: pa.Table) -> list[str]:
    array = as_array(feature.name, table[feature.name])
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return []  # encoding says what is wrong with it
    counted = zip(*array.drop_null().value_counts().flatten(), strict=True)
    often = (value.as_py() for value, count in counted if count.as_py() >= LEAST_SEEN)
    return sorted(set(often) - set(feature.categories or ()))


def pin_categories(schema: FeatureSchema, table: pa.Table) -> FeatureContract:
    """Return the contract of a first training: open categories become those seen, sorted.

    Raises:
        ColumnError: a column mixes types.
        TrainingRowsError: a category column holds no value at all.
    """
    seen = {
        feature.name: sorted(
            set(as_array(feature.name, table[feature.name]).drop_null().to_pylist())
        )
        for feature in schema.features
        if not feature.is_pinned and feature.name in table.column_names
    }
    empty = [name for name, values in seen.items() if not values]
    if empty:
        cause = f"none of them has a value of {empty[0]!r}, so it has no categories to learn"
        raise TrainingRowsError(cause=cause)
    return schema.pin(seen)
