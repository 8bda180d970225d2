"""Labels joined to predictions, by prediction id.

What always holds, whatever the order and the number of times in which rows arrived:

- a prediction that was logged twice counts once: the first logged stands;
- of several labels of a prediction the latest by (its time, its arrival) stands, among those that
  were known at `labels_until`, came within the maximum delay after the prediction, and not before
  the range began;
- labels of predictions that are not here are counted, and change nothing;
- rows come out in the order of (time, prediction id).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
)
from mlreg.controller.feedback.schemas import (
    CLASS_SCORES,
    LABELS,
    MOMENT,
    PREDICTIONS,
    ROUTED,
    segment_schema,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.domain.windows import Interval

COUNTS = b"mlreg.join"
PREDICTION_COLUMNS = (
    *(PREDICTION_ID, TIME, VERSION, SCORE, SCORES, ENTITY, ARM, PROPENSITY),
    *(BATCH, ROW),
)
LABEL_COLUMNS = tuple(segment_schema(LABELS).names)
_FIRST = (
    *(PREDICTION_ID, TIME, VERSION, SCORE, SCORES, LABEL, WEIGHT),
    *(ENTITY, ARM, PROPENSITY),
)
LABEL_TIME = "mlreg:label_time"
"""When the label that stands came; only of who asks for it by name."""
_ABSENT = {field.name: field.type for field in (CLASS_SCORES, *ROUTED)}


@dataclass(frozen=True, slots=True)
class JoinCounts:
    """What a join came across.

    Attributes:
        rows: predictions that came out.
        duplicates: predictions that were logged again, and left out.
        labelled: predictions that have a label.
        unknown: labels of predictions that are not here.
        late: labels that came after the maximum delay, after `labels_until`, or before the range.
        superseded: labels that a later one of the same prediction replaced.
    """

    rows: int
    duplicates: int
    labelled: int
    unknown: int
    late: int
    superseded: int


def join_rows(
    predictions: Sequence[pa.Table], labels: Sequence[pa.Table], body: SnapshotBody
) -> pa.Table:
    """Return the joined rows: prediction columns, label, weight (1.0 unless given), features.

    The table's schema carries a `JoinCounts` (see `counts_of`).
    """
    rows = within(_concatenated(predictions, pa.schema(PREDICTIONS)), body)
    rows, duplicates = _distinct(_ordered(rows))
    joined, met = _labelled(rows, _concatenated(labels, LABELS), body)
    counts = JoinCounts(rows=rows.num_rows, duplicates=duplicates, **met)
    features = [name for name in rows.column_names if name not in PREDICTION_COLUMNS]
    order = [name for name in (*_FIRST, *features, LABEL_TIME) if name in joined.column_names]
    metadata = {COUNTS: json.dumps(asdict(counts)).encode()}
    return joined.select(order).replace_schema_metadata(metadata)


def chosen_columns(joined: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Return joined rows with the wanted columns, None is all; null where none was ever sent.

    Raises:
        KeyError: a wanted column is not there, and is none that may be absent.
    """
    for name in columns or ():
        if name in _ABSENT and name not in joined.column_names:
            joined = joined.append_column(name, pa.nulls(joined.num_rows, _ABSENT[name]))
    wanted = [name for name in joined.column_names if name != LABEL_TIME]
    return joined.select(wanted if columns is None else list(columns))


def counts_of(joined: pa.Table) -> JoinCounts:
    """Return what the join that made this table came across."""
    return JoinCounts(**json.loads(joined.schema.metadata[COUNTS]))


def _concatenated(tables: Sequence[pa.Table], least: pa.Schema) -> pa.Table:
    """Return all rows as one table; columns that a part does not have are null in it."""
    if not tables:
        return segment_schema(least).empty_table()
    return pa.concat_tables(tables, promote_options="default")


def between(rows: pa.Table, span: Interval) -> pa.Table:
    """Return the rows with `start ≤ time < end`."""
    times = _microseconds(rows[TIME])
    chosen = (times >= _stamp(span.start)) & (times < _stamp(span.end))
    return rows if chosen.all() else rows.filter(pa.array(chosen))


def within(rows: pa.Table, body: SnapshotBody) -> pa.Table:
    """Return the rows in the snapshot's range and outside what it leaves out."""
    times = _microseconds(rows[TIME])
    start, end = _stamp(body.range.start), _stamp(body.range.end)
    chosen = (times >= start) & (times < end)
    for interval in body.excluded:
        chosen &= (times < _stamp(interval.start)) | (times >= _stamp(interval.end))
    return rows if chosen.all() else rows.filter(pa.array(chosen))


def _ordered(rows: pa.Table) -> pa.Table:
    """Return the rows by (time, prediction id, arrival); sorts only what is not sorted yet."""
    times = _microseconds(rows[TIME])
    steps = np.diff(times)
    if not len(steps) or steps.min() > 0 or _parts_in_order(rows, steps):
        return rows.combine_chunks()
    keys = [(name, "ascending") for name in (TIME, PREDICTION_ID, BATCH, ROW)]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)).combine_chunks()


def _parts_in_order(rows: pa.Table, steps: NDArray[np.int64]) -> bool:
    """Say whether times never fall, and rise from each segment to the next (inside they do)."""
    lengths = [len(chunk) for chunk in rows[TIME].chunks if len(chunk)]
    borders = np.cumsum(lengths)[:-1] - 1
    return bool(steps.min() >= 0 and (steps[borders] > 0).all())


def _distinct(rows: pa.Table) -> tuple[pa.Table, int]:
    """Return the rows with the first logged of each prediction, and how many were left out."""
    codes = _codes(rows[PREDICTION_ID])
    found = np.bincount(codes) if len(codes) else np.empty(0, dtype=np.intp)
    duplicates = len(codes) - len(found)
    if duplicates == 0:
        return rows, 0
    arrival = np.lexsort((rows[ROW].to_numpy(), rows[BATCH].to_numpy()))[::-1]
    first = np.empty(len(found), dtype=np.intp)
    first[codes[arrival]] = arrival  # the last to be written is the first that arrived
    return rows.take(pa.array(np.sort(first))).combine_chunks(), duplicates


def _labelled(
    rows: pa.Table, labels: pa.Table, body: SnapshotBody
) -> tuple[pa.Table, dict[str, int]]:
    places = _places(labels[PREDICTION_ID], rows[PREDICTION_ID])
    known = places >= 0
    times = _microseconds(labels[TIME])
    latest = np.full(len(places), _stamp(body.labels_until))
    delay = int(body.max_label_delay.total_seconds()) * 1_000_000
    due = _microseconds(rows[TIME])[places[known]] + delay
    latest[known] = np.minimum(latest[known], due)
    counted = known & (times <= latest) & (times >= _stamp(body.range.start))
    chosen = _latest(labels, times, places, np.flatnonzero(counted), rows.num_rows)
    taken = pa.array(chosen, mask=chosen < 0)
    joined = rows.append_column(LABEL, labels[LABEL].take(taken))
    joined = joined.append_column(LABEL_TIME, labels[TIME].take(taken))
    weights = pc.fill_null(labels[WEIGHT].take(taken), 1.0)
    labelled = int((chosen >= 0).sum())
    return joined.append_column(WEIGHT, weights), {
        "labelled": labelled,
        "unknown": int((~known).sum()),
        "late": int((known & ~counted).sum()),
        "superseded": int(counted.sum()) - labelled,
    }


def _latest(
    labels: pa.Table,
    times: NDArray[np.int64],
    places: NDArray[np.int64],
    counted: NDArray[np.intp],
    rows: int,
) -> NDArray[np.int64]:
    """Return, for each prediction, the number of the label that stands; -1 for none."""
    chosen = np.full(rows, -1, dtype=np.int64)
    if len(counted) and np.bincount(places[counted]).max() > 1:
        batches, numbers = labels[BATCH].to_numpy()[counted], labels[ROW].to_numpy()[counted]
        counted = counted[np.lexsort((numbers, batches, times[counted]))]
    chosen[places[counted]] = counted  # the last to be written is the latest
    return chosen


def _places(wanted: pa.ChunkedArray, among: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return where each id stands among others, -1 if it does not."""
    found = pc.index_in(wanted, value_set=among.combine_chunks())
    return np.asarray(pc.fill_null(found, -1).to_numpy()).astype(np.int64)


def _codes(ids: pa.ChunkedArray) -> NDArray[np.intp]:
    """Return equal numbers for equal ids, counting from 0."""
    encoded = ids.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy()).astype(np.intp)


def _microseconds(times: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.cast(times, pa.int64()).to_numpy())


def _stamp(moment: datetime) -> int:
    return int(pa.scalar(moment, MOMENT).cast(pa.int64()).as_py())
