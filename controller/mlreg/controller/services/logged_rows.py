"""Rows of the log for one look: joined with their labels, outages left out, nothing frozen.

What always holds: the same selection as a snapshot of that range would make, without one: a reading
is no evidence that somebody may want to rebuild.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.feedback.joins import chosen_columns, join_rows
from mlreg.controller.feedback.sampling import Lowest, sample_segments
from mlreg.controller.services.snapshots import needed_columns, read_snapshot, select
from mlreg.controller.store.readings import outage_intervals
from mlreg.registry.services.catalog import id_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa
    from numpy.typing import NDArray

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model


def select_rows(
    session: ReadSession, model: Model, window: Interval, labels_until: datetime
) -> SnapshotBody:
    """Select the predictions of a window outside outages, with the labels known until then."""
    down = outage_intervals(session, id_of(model), window)
    return select(session, model, window, labels_until, exclude=down)


def read_rows(
    store: ArtifactStore, body: SnapshotBody, columns: Sequence[str] | None = None
) -> pa.Table | None:
    """Return the joined rows, or None when nothing was logged in the range."""
    return read_snapshot(store, body, columns) if body.predictions else None


def sample_rows(
    store: ArtifactStore,
    body: SnapshotBody,
    limit: int,
    seed: int,
    columns: Sequence[str] | None = None,
) -> pa.Table | None:
    """Return the joined rows of at most `limit` predictions, chosen by a hash of id and seed.

    The same selection, limit and seed give the same rows, and rows that a larger limit gives too.
    Memory does not grow with the rows behind it. None when nothing was logged in the range.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: a segment cannot be had.
        KeyError: a wanted column is in no segment.
    """
    needed = None if columns is None else needed_columns(columns)
    predictions, labels = sample_segments(store, body, Lowest(limit, seed), needed)
    if not predictions:
        return None
    return chosen_columns(join_rows(predictions, labels, body), columns)


def floats(rows: pa.Table, column: str, *, missing: float = float("nan")) -> NDArray[np.float64]:
    """Return a column as float64, nulls as `missing`."""
    values = rows.column(column).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isnan(values), missing, values)
