"""Labels that came after their window was measured: which windows are to be measured again.

What always holds: each batch of labels is looked at once, by the window that matures as it arrives;
labels of predictions that are not mature yet, or that mature just now, cost nothing further. The
others are looked for in older mature windows, the newest first, until each is found, the maximum
label delay is passed, or `MAX_ROWS` predictions were read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import BATCH, PREDICTION_ID, TIME
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.segments import read_segments
from mlreg.controller.store import label_profiles
from mlreg.controller.store.feedback import list_segments
from mlreg.registry.services.catalog import id_of, target_contract_of

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.attempt import Attempt
    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.tables import Model

MAX_ROWS = 5_000_000


def find_windows(
    attempt: Attempt, model: Model, place: Place, seen: tuple[Interval, Interval]
) -> list[Interval]:
    """Return the mature windows that labels came for since they were measured, newest first.

    Args:
        attempt: reads the log.
        model: whose log.
        place: its id and the environment.
        seen: the window that matures now, and when the batches were received that are looked at.
    """
    window, received = seen
    fresh = _fresh_labels(attempt, id_of(model), received)
    if not len(fresh):
        return []
    late, _ = _without(attempt, model, fresh, Interval(window.start, received.end))
    found: list[Interval] = []
    read = 0
    for start in _older(attempt, model, place, window.start) if len(late) else ():
        one = Interval(start, start + window.length)
        left, rows = _without(attempt, model, late, one)
        if len(left) < len(late):
            found.append(one)
        late, read = left, read + rows
        if not len(late) or read > MAX_ROWS:
            break
    return found


def _fresh_labels(attempt: Attempt, model_id: int, received: Interval) -> pa.Array:
    """Return the prediction ids of the labels of these batches."""
    with attempt.database.reading() as session:
        batches = label_profiles.new_label_batches(session, model_id, received)
        segments = label_profiles.label_segments_since(session, model_id, received.start)
    if not batches or not segments:
        return pa.array([], pa.string())
    tables = read_segments(attempt.store, segments, [PREDICTION_ID, TIME, BATCH])
    labels = pa.concat_tables(tables)
    mine = pc.is_in(labels[BATCH], value_set=pa.array(batches, pa.int64()))
    return pc.unique(labels.filter(mine)[PREDICTION_ID])


def _older(attempt: Attempt, model: Model, place: Place, until: datetime) -> list[datetime]:
    """Return the starts of the mature windows that a label may still come for."""
    reach = target_contract_of(model).max_label_delay_seconds
    with attempt.database.reading() as session:
        return label_profiles.mature_starts(session, place, until, reach)


def _without(
    attempt: Attempt, model: Model, ids: pa.Array, window: Interval
) -> tuple[pa.Array, int]:
    """Return the ids that no prediction of a window has, and how many predictions were read."""
    attempt.check()
    with attempt.database.reading() as session:
        found = list_segments(session, id_of(model), "predictions", window.start, window.end)
    if not found:
        return ids, 0
    digests = [one.digest for one in found]
    tables = read_segments(attempt.store, digests, [PREDICTION_ID, TIME], window)
    logged = pa.concat_tables([table.select([PREDICTION_ID, TIME]) for table in tables])
    first, end = (pa.scalar(side, logged.schema.field(TIME).type) for side in _sides(window))
    inside = pc.and_(pc.greater_equal(logged[TIME], first), pc.less(logged[TIME], end))
    there = pc.is_in(ids, value_set=pc.unique(logged.filter(inside)[PREDICTION_ID]))
    return ids.filter(pc.invert(there)), logged.num_rows


def _sides(window: Interval) -> tuple[datetime, datetime]:
    return window.start, window.end
