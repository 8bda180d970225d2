"""A window's joined rows as performance is measured on them: labels, scores, ages, slices.

What always holds: rows without a label are there too (their age tells the delay); a column that the
log does not have makes no slice; codes of classes are labels themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import LABEL, SCORE, SCORES, TIME, VERSION, WEIGHT
from mlreg.controller.domain.delays import DelayCounts, count_delays
from mlreg.controller.domain.maturity import Ages
from mlreg.controller.domain.metrics import Booleans, Floats, Integers
from mlreg.controller.domain.metrics.ranking import whole_groups
from mlreg.controller.domain.performance import LabelledWindow
from mlreg.controller.feedback.joins import LABEL_TIME
from mlreg.controller.services.logged_rows import floats
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.tables import Model

SECOND = 1_000_000.0
BINARY_CLASSES = 2
MAX_SLICES = 200


@dataclass(frozen=True, slots=True)
class RowShape:
    """Which columns a model's rows have, and what they mean.

    Attributes:
        classes: how many classes the labels have; 1 where they are numbers.
        group: the column of groups of a ranking.
        slices: the columns to cut by that the log has.
    """

    task: str
    classes: int
    group: str | None = None
    slices: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns to be read."""
        return list(dict.fromkeys([*self.measured, VERSION, LABEL_TIME, *self.slices]))

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that a metric is of."""
        score = SCORES if self.task == "multiclass" else SCORE
        group = () if self.group is None else (self.group,)
        return (TIME, score, LABEL, WEIGHT, *group)


def shape_of(model: Model, slices: Sequence[str]) -> RowShape:
    """Return the shape of a model's rows; slices by columns that it has not are left out."""
    target, schema = catalog.target_contract_of(model), catalog.feature_schema_of(model)
    logged = {*(schema.names if schema else ()), "entity"}
    classes = len(target.classes) if target.task in {"binary", "multiclass"} else 1
    group = target.group_key if target.task == "ranking" else None
    return RowShape(
        task=model.task,
        classes=max(1, classes),
        group=group if group in logged else ("entity" if group else None),
        slices=tuple(name for name in slices if name in logged),
    )


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """The rows of one window.

    Attributes:
        window: labels, scores, weights, times, groups.
        versions: the version that scored each row; 0: not said.
        delays: seconds from prediction to label, NaN without one.
        classes: the class of each label; 0 without one.
        cuts: by column, the code of each row's value (-1: none) and the values.
    """

    shape: RowShape
    window: LabelledWindow
    versions: Integers
    delays: Floats
    classes: Integers
    cuts: Mapping[str, tuple[Integers, tuple[str, ...]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.versions)

    @property
    def labelled(self) -> Booleans:
        """Which rows have a label."""
        return np.isfinite(self.window.labels)

    def ages(self, now: datetime, mature: datetime) -> Ages:
        """Return how old the rows are at two moments."""
        since = self.window.times.astype(np.int64) / SECOND
        return Ages(now.timestamp() - since, mature.timestamp() - since)

    def count_delays(self, until: datetime) -> DelayCounts:
        """Return the rows by age, as far as labels are known."""
        watched = self.ages(until, until).now
        return count_delays(self.delays, watched, self.classes, self.shape.classes)

    def slices(self, min_rows: int) -> Iterator[tuple[str, Booleans]]:
        """Yield the name and the rows of each slice with enough labelled rows, the largest first.

        At most `MAX_SLICES` of a column; a group of a ranking is in one with all its rows, or not.
        """
        groups = self.window.groups
        for column, (codes, values) in self.cuts.items():
            counted = codes[self.window.known & (codes >= 0)]
            sizes = np.bincount(counted, minlength=len(values))
            for code in np.argsort(-sizes, kind="stable")[:MAX_SLICES]:
                if sizes[code] < min_rows:
                    break
                mask = codes == code if groups is None else whole_groups(codes == code, groups)
                if mask.any():
                    yield f"{column}={values[code]}", mask


def labelled_rows(shape: RowShape, rows: pa.Table) -> LabelledRows:
    """Return joined rows that were read with `shape.columns`."""
    window = labelled_window(shape, rows)
    came = rows.column(LABEL_TIME).cast(pa.int64()).to_numpy(zero_copy_only=False)
    classes = np.zeros(rows.num_rows, dtype=np.intp)
    known = np.isfinite(window.labels)
    if shape.classes > 1:
        classes[known] = window.labels[known].astype(np.intp)
    return LabelledRows(
        shape=shape,
        window=window,
        versions=pc.fill_null(rows.column(VERSION), 0).to_numpy().astype(np.intp),
        delays=(came.astype(np.float64) - window.times.astype(np.int64)) / SECOND,
        classes=classes,
        cuts={name: _codes(rows, name) for name in shape.slices},
    )


def labelled_window(shape: RowShape, rows: pa.Table) -> LabelledWindow:
    """Return what a metric is measured on of joined rows; they have `shape.measured`."""
    many = shape.task == "multiclass"
    return LabelledWindow(
        floats(rows, LABEL),
        class_scores(rows, shape.classes) if many else floats(rows, SCORE),
        floats(rows, WEIGHT, missing=1.0),
        rows.column(TIME).cast(pa.int64()).to_numpy().view("datetime64[us]"),
        None if shape.group is None else _codes(rows, shape.group)[0],
    )


def class_scores(rows: pa.Table, classes: int) -> Floats:
    """Return rows by classes, NaN where a row has no scores."""
    column = rows.column(SCORES).combine_chunks()
    scores = np.full((len(column), classes), np.nan)
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    scores[there] = flat.reshape(-1, classes)
    return scores


def _codes(rows: pa.Table, name: str) -> tuple[Integers, tuple[str, ...]]:
    encoded = pc.cast(rows.column(name), pa.string()).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
    return codes, tuple(map(str, encoded.dictionary.to_pylist()))
