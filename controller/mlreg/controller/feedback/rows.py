"""The rules of logged rows: which columns, which values. A batch that breaks one is not kept.

What always holds: the checks run over whole columns, never row by row in Python; an error names the
first column that breaks a rule, and the first row in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import (
    ARM,
    FUTURE_TOLERANCE,
    LABEL,
    MAX_CHECKED_BYTES,
    MAX_ROWS,
    MAX_TEXT_LENGTH,
    PREDICTION_ID,
    PROPENSITY,
    SCORE,
    SCORES,
    TIME,
    VERSION,
    WEIGHT,
    InvalidRowsError,
)
from mlreg.controller.domain.metrics.ranking import MAX_GRADE
from mlreg.controller.feedback.casting import (
    cast_column,
    check_size,
    first_row,
    is_finite,
    shown_at,
)
from mlreg.controller.feedback.schemas import ABSENT, MOMENT, OPTIONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlreg.registry.store.tables import Model

_UNSEEN_LETTERS = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}"
    r"\x{202a}-\x{202e}\x{2066}-\x{2069}\x{200e}\x{200f}\x{61c}]"
)
_SPACE, _DELETE = 0x20, 0x7F
NAN_HINT = "null and NaN are the same, and a label must be known"


@dataclass(frozen=True, slots=True)
class RowRules:
    """What the rows of one batch are checked against.

    Attributes:
        schema: the columns that are needed (`batch_schema`).
        now: business time; a time more than a day later is refused.
        task: binary, multiclass, regression or ranking.
        classes: how many classes the labels have; 0 for numbers.
        last_version: the highest version that a prediction may name.
        closed: category columns whose unknown values are errors, with their values.
    """

    schema: pa.Schema
    now: datetime
    task: str
    classes: int
    last_version: int
    closed: Mapping[str, pa.Array]


def rules_of(model: Model, schema: pa.Schema, now: datetime) -> RowRules:
    """Return the rules of a model's rows."""
    classes = model.target_contract.get("classes") or ()
    closed = {
        feature["name"]: pa.array(feature["categories"], pa.string())
        for feature in model.feature_schema or ()
        if feature.get("unseen") == "error" and feature.get("categories")
    }
    return RowRules(schema, now, model.task, len(classes), model.last_version, closed)


def checked_rows(table: pa.Table, rules: RowRules) -> pa.Table:
    """Return the rows with the schema's columns and types, NaN as null.

    What may be absent (`ABSENT`) is a column only where it was sent.

    Raises:
        InvalidRowsError: no rows or too many; a column is missing, unknown or of another type; a
            value is missing, infinite, unknown, too long, or lies in the future.
    """
    if not 0 < table.num_rows <= MAX_ROWS:
        problem = f"{table.num_rows} rows; a batch has 1 to {MAX_ROWS:,}"
        raise InvalidRowsError(column=PREDICTION_ID, problem=problem)
    _check_columns(table.column_names, rules.schema)
    sent = set(table.column_names)
    fields = [field for field in rules.schema if field.name in sent or field.name not in ABSENT]
    given = dict(zip(table.column_names, table.itercolumns(), strict=True))
    columns = _columns(given, table.num_rows, fields, rules)
    checked = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    for field, column in zip(fields, columns, strict=True):
        _check_values(field, column, rules)
    return checked


def _check_columns(names: list[str], schema: pa.Schema) -> None:
    known = set(schema.names)
    for name in names:
        if name not in known:
            problem = f"not a column of this model's log; it has {', '.join(schema.names[:30])}"
            raise InvalidRowsError(column=name, problem=problem)
        if names.count(name) > 1:
            raise InvalidRowsError(column=name, problem="it is there twice")
    for name in schema.names:
        if name not in OPTIONAL and name not in names:
            raise InvalidRowsError(column=name, problem="it is missing")


def _columns(
    given: Mapping[str, pa.ChunkedArray], rows: int, fields: Sequence[pa.Field], rules: RowRules
) -> list[pa.Array]:
    """Return the columns one after the other, until they take too much together."""
    columns, size = [], 0
    for field in fields:
        columns.append(_column(given, rows, field, rules))
        size += columns[-1].get_total_buffer_size()  # quick; too much where rows are a slice
        if size > MAX_CHECKED_BYTES:
            check_size(field.name, sum(column.nbytes for column in columns))
    return columns


def _column(
    given: Mapping[str, pa.ChunkedArray], rows: int, field: pa.Field, rules: RowRules
) -> pa.Array:
    if field.name not in given:
        return pa.nulls(rows, field.type)
    try:
        return cast_column(field.name, given[field.name], field.type)
    except InvalidRowsError as error:
        if field.name != LABEL or not rules.classes:
            raise
        problem = f"{error.problem}; labels are the places of the classes, 0 to {rules.classes - 1}"
        raise InvalidRowsError(column=LABEL, problem=problem, row=error.row) from error


def _check_values(field: pa.Field, column: pa.Array, rules: RowRules) -> None:
    if not field.nullable and column.null_count:
        problem = NAN_HINT if field.name == LABEL else "it is missing"
        raise InvalidRowsError(column=field.name, problem=problem, row=first_row(column.is_null()))
    if pa.types.is_floating(field.type) and not is_finite(column):
        _refuse(field.name, column, pc.is_inf(column), "is infinite")
    if pa.types.is_string(field.type):
        _check_text(field.name, column)
    if field.name in rules.closed:
        unseen = pc.and_(
            column.is_valid(), pc.invert(pc.is_in(column, value_set=rules.closed[field.name]))
        )
        _refuse(field.name, column, unseen, "is not one of the model's categories")
    special = _SPECIAL.get(field.name)
    if special is not None and column.null_count < len(column):
        special(column, rules)


def _check_text(name: str, column: pa.Array) -> None:
    """Refuse long texts, and letters that JSON's door does not let in either (`strict_json`).

    A glance at all bytes usually says that there is nothing of it.
    """
    letters = column.buffers()[-1] or b""
    if len(letters) > MAX_TEXT_LENGTH:
        too_long = pc.greater(pc.utf8_length(column), MAX_TEXT_LENGTH)
        _refuse(name, column, too_long, f"has more than {MAX_TEXT_LENGTH} letters")
    if not _is_plain(letters):
        unseen = pc.match_substring_regex(column, _UNSEEN_LETTERS)
        _refuse(name, column, unseen, "has control or bidirectional characters")


def _is_plain(letters: pa.Buffer | bytes) -> bool:
    """Say whether all bytes are printable ASCII."""
    values = np.frombuffer(letters, np.uint8)
    return not len(values) or bool(values.min() >= _SPACE and values.max() < _DELETE)


def _check_ids(column: pa.Array, _rules: RowRules) -> None:
    _refuse(PREDICTION_ID, column, pc.equal(column, ""), "is empty")


def _check_times(column: pa.Array, rules: RowRules) -> None:
    latest = pa.scalar(rules.now + FUTURE_TOLERANCE, MOMENT)
    _refuse(TIME, column, pc.greater(column, latest), "lies in the future")
    earliest = pa.scalar(0, MOMENT)
    _refuse(TIME, column, pc.less(column, earliest), "lies before 1970")


def _check_versions(column: pa.Array, rules: RowRules) -> None:
    known = pc.and_(pc.greater_equal(column, 1), pc.less_equal(column, rules.last_version))
    _refuse(VERSION, column, pc.invert(known), "is not a version of this model")


def _check_scores(column: pa.Array, rules: RowRules) -> None:
    if rules.task == "binary":
        wrong = pc.or_(pc.less(column, 0.0), pc.greater(column, 1.0))
        _refuse(SCORE, column, wrong, "is not a probability")


def _check_class_scores(column: pa.Array, rules: RowRules) -> None:
    """Refuse lists that are not a probability of each class.

    What they add up to is the model's affair (each class against all others), but not to nothing.
    """
    lengths = pc.list_value_length(column)
    problem = f"is not one score for each of {rules.classes} classes"
    _refuse(SCORES, column, pc.not_equal(lengths, rules.classes), problem)
    scores = column.flatten()
    wrong = pc.fill_null(pc.or_(pc.less(scores, 0.0), pc.greater(scores, 1.0)), fill_value=True)
    wrong = pc.or_(wrong, pc.fill_null(pc.is_nan(scores), fill_value=True))
    place = first_row(wrong)
    if place is not None:
        row = first_row(pc.greater_equal(pc.cumulative_sum(pc.fill_null(lengths, 0)), place))
        problem = f"{shown_at(scores, place - 1)} is not a probability"
        raise InvalidRowsError(column=SCORES, problem=problem, row=row)
    _check_chances(column, rules)


def _check_chances(column: pa.Array, rules: RowRules) -> None:
    """Refuse lists of zeros, which say nothing of any class."""
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    empty = np.zeros(len(column), dtype=bool)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    empty[there] = flat.reshape(-1, rules.classes).max(axis=1) <= 0.0
    row = first_row(pa.array(empty))
    if row is not None:
        raise InvalidRowsError(column=SCORES, problem="gives no class a chance", row=row)


def _check_arms(column: pa.Array, _rules: RowRules) -> None:
    _refuse(ARM, column, pc.equal(column, ""), "is empty")


def _check_propensities(column: pa.Array, _rules: RowRules) -> None:
    wrong = pc.or_(pc.less_equal(column, 0.0), pc.greater(column, 1.0))
    _refuse(PROPENSITY, column, wrong, "is not a probability above zero")


def _check_labels(column: pa.Array, rules: RowRules) -> None:
    if rules.classes or rules.task == "binary":
        classes = rules.classes or 2
        known = pc.and_(pc.greater_equal(column, 0), pc.less(column, classes))
        whole = pc.equal(pc.floor(column), column)
        wrong = pc.invert(pc.and_(known, whole))
        _refuse(LABEL, column, wrong, f"is not a class; labels are 0 to {classes - 1}")
    elif rules.task == "ranking":
        known = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, MAX_GRADE))
        whole = pc.equal(pc.floor(column), column)
        wrong = pc.invert(pc.and_(known, whole))
        _refuse(LABEL, column, wrong, f"is not a grade; labels are whole, 0 to {MAX_GRADE}")


def _check_weights(column: pa.Array, _rules: RowRules) -> None:
    _refuse(WEIGHT, column, pc.less(column, 0.0), "is below zero")


def _refuse(name: str, column: pa.Array, wrong: pa.Array, problem: str) -> None:
    """Raise for the first row that is wrong; a null is never wrong here."""
    row = first_row(wrong)
    if row is not None:
        value = shown_at(column, row - 1)
        raise InvalidRowsError(column=name, problem=f"{value} {problem}", row=row)


_SPECIAL: dict[str, Callable[[pa.Array, RowRules], None]] = {
    PREDICTION_ID: _check_ids,
    TIME: _check_times,
    VERSION: _check_versions,
    SCORE: _check_scores,
    SCORES: _check_class_scores,
    ARM: _check_arms,
    PROPENSITY: _check_propensities,
    LABEL: _check_labels,
    WEIGHT: _check_weights,
}
