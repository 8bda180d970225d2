"""The rows of a snapshot that train: chosen and weighed as the specification selects.

What always holds: a run and its rebuild read their training rows here, and rows that judge are
never read here; the same snapshot and specification give the same rows, in the same order, with
the same weights. Rows without a label are not chosen from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.client.scoring.encoding import as_array
from mlreg.controller.domain.batches import LABEL, OWN_WEIGHT, PREDICTION_ID, TIME, WEIGHT
from mlreg.controller.domain.selections.selection import Candidates, Selection
from mlreg.controller.feedback.joins import join_rows
from mlreg.controller.feedback.sampling import Lowest, hash_ids, sample_segments
from mlreg.controller.services.losses import check_whole
from mlreg.controller.services.snapshot_rows import iterate_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlreg.controller.domain.selections.selection import Chosen, Past
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.domain.specification import RunSpecification
    from mlreg.controller.services.sourcing import SourceParts
    from mlreg.registry.store.tables import Model


def read_training_rows(
    parts: SourceParts, model: Model, body: SnapshotBody, specification: RunSpecification
) -> pa.Table:
    """Return the rows of a snapshot that train, by time, with their weights.

    Raises:
        SelectionError: the selection names a column that the rows do not have.
        As `read_rows`.
    """
    selection, seed = specification.data.selection, specification.retrain.seed
    most = selection.most_rows
    if most is None:
        table = read_rows(parts, model, body)
    else:
        table = _sample(parts, model, body, Lowest(most, seed))
    return choose_rows(table, selection, specification.past_of(body.range), seed)


def choose_rows(table: pa.Table, selection: Selection, past: Past, seed: int) -> pa.Table:
    """Return the labelled rows that a selection takes, each with its weight times its factor.

    Where there are factors, the weights without them stand in a column of their own.
    A selection of times alone leaves the rows as they are.
    """
    if type(selection).choose is Selection.choose:
        return table
    labelled = table.filter(pc.is_valid(table[LABEL]))
    chosen = selection.choose(_candidates(labelled, selection, seed), past)
    return _weighed(labelled, chosen)


def _candidates(table: pa.Table, selection: Selection, seed: int) -> Candidates:
    known = [name for name in selection.columns if name in table.column_names]
    times = table[TIME].cast(pa.int64()).to_numpy().view("datetime64[us]")
    return Candidates(
        hash_ids(_ids(table), seed), times, {name: _codes(table, name) for name in known}
    )


def _ids(table: pa.Table) -> pa.ChunkedArray:
    """Return the prediction ids; where a source has none, the rows' places, which are fixed."""
    ids = table[PREDICTION_ID]
    if not ids.null_count:
        return ids
    places = pa.array(np.arange(len(table)).astype(str))
    return pa.chunked_array([pc.coalesce(ids.combine_chunks(), places)])


def _codes(table: pa.Table, name: str) -> NDArray[np.int64]:
    """Return a column's values as numbers, -1 where it is missing."""
    codes = as_array(name, table[name]).dictionary_encode().indices.fill_null(-1)
    return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


def _weighed(table: pa.Table, chosen: Chosen) -> pa.Table:
    if chosen.places is not None:
        table = table.take(pa.array(chosen.places))
    if chosen.factors is None:
        return table
    before = pc.fill_null(table[WEIGHT].cast(pa.float64()), 1.0)
    weights = pc.multiply(before, pa.array(chosen.factors))
    weighed = table.set_column(table.column_names.index(WEIGHT), WEIGHT, weights)
    return weighed.append_column(OWN_WEIGHT, before)


def _sample(parts: SourceParts, model: Model, body: SnapshotBody, lowest: Lowest) -> pa.Table:
    """Return the rows of the lowest lots, with at most one segment in memory beside them."""
    if body.source is None:
        with parts.database.reading() as session:
            check_whole(session, body)
        return join_rows(*sample_segments(parts.store, body, lowest, None), body)
    empty: Sequence[pa.Table] = ()
    for table in iterate_rows(parts, model, body):
        empty = (table.slice(0, 0),)
        lowest.add(table)
    rows = pa.concat_tables([*empty, *lowest.taken()], promote_options="default")
    return rows.sort_by([(TIME, "ascending"), (PREDICTION_ID, "ascending")]).combine_chunks()
