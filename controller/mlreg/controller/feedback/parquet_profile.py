"""The profile of a Parquet file, column by column, in threads: rows that are not in the log.

What always holds: it is the profile that the whole table would give; at most two columns are in
memory at once, so a file of fifty columns costs as much memory as one of two.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.profile import Profile, empty_profile, profile_rows
from mlreg.controller.feedback.columns import encoded

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 2


def profile_file(path: Path, bins: Bins) -> Profile:
    """Summarise all rows of a Parquet file under some bins; a column it lacks is missing in all.

    Raises:
        OSError, pyarrow.ArrowException: the file cannot be read.
    """
    with parquet.ParquetFile(path) as file:
        metadata, rows = file.metadata, file.metadata.num_rows
        known = set(file.schema_arrow.names)

    def one(place: int) -> Profile:
        column = Bins((bins.columns[place],))
        names = [column.columns[0].name]
        if names[0] not in known:
            return profile_rows(encoded(pa.table({names[0]: pa.nulls(rows)}), column), column)
        with parquet.ParquetFile(path, metadata=metadata) as own:
            table = own.read(names, use_threads=False)
        return profile_rows(encoded(table, column), column)

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(one, range(len(bins.columns))))
    return _side_by_side(parts, bins, rows)


def _side_by_side(parts: list[Profile], bins: Bins, rows: int) -> Profile:
    """Return one profile of the profiles of its columns."""
    whole = empty_profile(bins)
    if not parts:
        return whole
    return Profile(
        bins,
        rows,
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.tallies for part in parts], axis=1),
        np.concatenate([part.sums for part in parts], axis=1),
        np.concatenate([part.extremes for part in parts], axis=1),
    )
