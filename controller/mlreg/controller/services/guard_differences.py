"""The paired differences of a guard: the live model's losses less those of the previous champion.

What always holds: both are of the same logged rows, those that the live model scored, labelled and
outside outages; of a ranking the unit is the group, in the hour of its first row, and its loss is 1
less the metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import LABEL, TIME, VERSION
from mlreg.controller.domain.guards import HourDifference
from mlreg.controller.domain.metrics import Floats, Integers, Rows, row_losses
from mlreg.controller.domain.metrics.classes import class_losses
from mlreg.controller.domain.metrics.ranking import ORDERS, group_values
from mlreg.controller.services.labelled_rows import labelled_window, shape_of
from mlreg.controller.services.shadow import score_rows
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.domain.performance import LabelledWindow
    from mlreg.controller.services.attempt import Attempt

_HOUR_MICROSECONDS = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Pair:
    """The version that serves, and the champion before it."""

    model: Model
    live: int
    previous: int


def differences(attempt: Attempt, pair: Pair, metric: str, rows: pa.Table) -> list[HourDifference]:
    """Return the paired differences of joined rows, hour by hour; positive: the live one is worse.

    Raises:
        ShadowScoringError: the previous champion cannot score them.
        HaltedError: the attempt was told to stop.
    """
    shape = shape_of(pair.model, ())
    if not set(shape.measured) <= set(rows.column_names):
        return []  # nobody logged what the metric is of, such as the probability of each class
    mine = pc.fill_null(pc.equal(rows.column(VERSION), pair.live), fill_value=False)
    rows = rows.filter(pc.and_(mine, pc.is_valid(rows.column(LABEL))))
    window = labelled_window(shape, rows)
    rows, live = rows.filter(pa.array(window.known)), window.where(window.known)
    if rows.num_rows == 0:
        return []
    previous = score_rows(attempt, pair.model, pair.previous, rows)
    hour = rows.column(TIME).cast("int64").to_numpy() // _HOUR_MICROSECONDS
    hours, places = np.unique(hour, return_inverse=True)
    found, blocks = paired(metric, live, previous, (places.astype(np.intp), len(hours)))
    return by_hour(hours, found, blocks)


def paired(
    metric: str, live: LabelledWindow, previous: Floats, blocks: tuple[Integers, int]
) -> tuple[Floats, Integers]:
    """Return the difference of each unit, and the block that it lies in.

    Args:
        metric: by which the two are compared.
        live: rows as the live model scored them, all labelled.
        previous: what the previous champion says of them.
        blocks: the block of each row, and how many there are.
    """
    if metric not in ORDERS:
        loss = class_losses if live.scores.ndim > 1 else row_losses
        losses = [loss(metric, live.labels, one) for one in (live.scores, previous)]
        return losses[0] - losses[1], blocks[0]
    rows = Rows(live.labels, np.ones(len(live.labels)), *blocks, live.groups)
    mine, theirs = (group_values(metric, rows, one) for one in (live.scores, previous))
    return theirs.values - mine.values, mine.blocks


def by_hour(hours: Integers, found: Floats, blocks: Integers) -> list[HourDifference]:
    """Sum differences by hour (since 1970), in order of time; hours without any are left out."""
    totals, counts = (
        np.bincount(blocks, found, len(hours)),
        np.bincount(blocks, minlength=len(hours)),
    )
    return [
        HourDifference(datetime.fromtimestamp(int(one) * 3600, UTC), int(count), float(total))
        for one, count, total in zip(hours, counts, totals, strict=True)
        if count
    ]
