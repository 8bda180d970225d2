"""The rows of a snapshot, whatever it selects: logged ones, joined, or those of a source.

What always holds: the columns are the same for both (prediction_id, time, version, score, label,
weight, entity, features), and so is the order, by time; a source has no version and no score.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import (
    ENTITY,
    LABEL,
    PREDICTION_ID,
    SCORE,
    TIME,
    VERSION,
    WEIGHT,
)
from mlreg.controller.feedback.joins import COUNTS, JoinCounts
from mlreg.controller.feedback.rows import rules_of
from mlreg.controller.feedback.schemas import LABELS
from mlreg.controller.services import logged_rows
from mlreg.controller.services.losses import check_whole
from mlreg.controller.services.snapshots import read_snapshot
from mlreg.controller.sources.columns import Choice, schema_of
from mlreg.controller.sources.errors import SourceFileChangedError, SourceTooLargeError
from mlreg.controller.sources.opening import opener
from mlreg.controller.sources.reading import Asking, read_frozen
from mlreg.controller.store.sources import forget_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.controller.services.sourcing import SourceParts
    from mlreg.registry.store.tables import Model

MAX_ROWS = 20_000_000
_OWN = {
    PREDICTION_ID: pa.string(),
    TIME: pa.timestamp("us", tz="UTC"),
    VERSION: pa.int32(),
    SCORE: pa.float64(),
    LABEL: pa.float64(),
    WEIGHT: pa.float64(),
    ENTITY: pa.string(),
}
"""The columns beside the features, in their order."""


def read_rows(
    parts: SourceParts, model: Model, body: SnapshotBody, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return all rows of a snapshot of a model, by time; `counts_of` tells what was come across.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: a segment cannot be had.
        SourceFileError: a file of a source is not what was frozen, or is gone.
        SourceTooLargeError: there are more than twenty million.
        SnapshotLostError: some were erased, or have expired.
        KeyError: a wanted column is in none of them.
    """
    _check(parts, body)
    if body.source is None:
        return read_snapshot(parts.store, body, columns)
    wanted = [*(columns or _names(body.source)), LABEL]
    tables = [_no_rows(body.source, wanted)]
    for table in iterate_rows(parts, model, body, wanted):
        tables.append(table)
        rows = sum(one.num_rows for one in tables)
        if rows > MAX_ROWS:
            name = body.source.name
            raise SourceTooLargeError(source=name, amount=rows, of="rows", most=MAX_ROWS)
    joined = _ordered(pa.concat_tables(tables))
    labelled = joined.num_rows - joined[LABEL].null_count
    counts = JoinCounts(joined.num_rows, 0, labelled, 0, 0, 0)
    joined = joined.select(list(columns or _names(body.source)))
    return joined.replace_schema_metadata({COUNTS: json.dumps(asdict(counts)).encode()})


def sample_rows(
    parts: SourceParts,
    model: Model,
    body: SnapshotBody,
    columns: Sequence[str],
    *,
    limit: int,
    seed: int,
) -> pa.Table | None:
    """Return about `limit` rows of a snapshot; None when nothing was logged in its range.

    Those of the log are chosen by a hash of their ids and the seed; of a source, it is every n-th.

    Raises:
        As `read_rows`.
    """
    if body.source is None:
        _check(parts, body)
        return logged_rows.sample_rows(parts.store, body, limit, seed, columns)
    rows = read_rows(parts, model, body, columns)
    step = max(-(-rows.num_rows // limit), 1)
    return rows.take(list(range(seed % step, rows.num_rows, step)))


def iterate_rows(
    parts: SourceParts, model: Model, body: SnapshotBody, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield the rows of a snapshot in tables; those of a source are bounded, in no order of time.

    Raises:
        As `read_rows`.
    """
    _check(parts, body)
    if body.source is None:
        yield read_snapshot(parts.store, body, columns)
        return
    names = list(dict.fromkeys(columns or _names(body.source)))
    asking = Asking(
        body.source,
        Choice(body.range, body.excluded),
        names,
        rules_of(model, LABELS, body.range.end),
    )
    try:
        for table in read_frozen(asking, opener(body.source, parts.reach(model.name))):
            yield _completed(table, body.source, names)
    except SourceFileChangedError as error:
        with parts.database.writing() as session:
            forget_digest(session, error.file)
        raise


def _check(parts: SourceParts, body: SnapshotBody) -> None:
    """Refuse what lost rows, though their bytes may be there for some days."""
    with parts.database.reading() as session:
        check_whole(session, body)


def _names(source: FrozenSource) -> list[str]:
    return [*_OWN, *(one.name for one in source.columns.features)]


def _no_rows(source: FrozenSource, names: Sequence[str]) -> pa.Table:
    own = {one.name: one.type for one in schema_of(source.columns, source.columns.by_target)}
    types = {**own, **_OWN}
    wanted = list(dict.fromkeys([*names, TIME, PREDICTION_ID]))
    return pa.schema([pa.field(name, types[name]) for name in wanted]).empty_table()


def _completed(table: pa.Table, source: FrozenSource, names: Sequence[str]) -> pa.Table:
    """Return rows with the columns that a source does not have, and without surprises in others."""
    whole = _no_rows(source, names).schema
    columns = []
    for field in whole:
        if field.name in table.column_names:
            columns.append(table[field.name])
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    weights = whole.get_field_index(WEIGHT)
    if weights >= 0:
        columns[weights] = pc.fill_null(columns[weights], 1.0)
    return pa.Table.from_arrays(columns, schema=whole)


def _ordered(rows: pa.Table) -> pa.Table:
    """Return the rows by time; those of one time as they came."""
    times = rows[TIME].cast(pa.int64()).to_numpy()
    if len(times) < 2 or (np.diff(times) >= 0).all():  # noqa: PLR2004 - one row is in order
        return rows.combine_chunks()
    return rows.take(pa.array(np.argsort(times, kind="stable"))).combine_chunks()
