"""A sample of logged rows by a seeded hash of the prediction id, in one pass and bounded memory.

What always holds: whether a prediction is in the sample depends on its id, the seed and the other
ids only: not on the order in which segments are read, nor on how often it was logged; a label comes
along with its prediction, for it has the same hash. At most one segment, and twice the sample, are
in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.controller.domain.batches import PREDICTION_ID
from mlreg.controller.feedback.joins import LABEL_COLUMNS, within
from mlreg.controller.feedback.segments import read_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.registry.artifacts.store import ArtifactStore

    Hashes = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 2**64)
_MASK = 2**64 - 1
_ALL = np.uint64(_MASK)


class Lowest:
    """The rows with the lowest hashes that came by, of at most so many different predictions."""

    def __init__(self, limit: int, seed: int) -> None:
        self._border = _ALL
        self._limit = limit
        self._seed = seed
        self._tables: list[pa.Table] = []
        self._kept = 0

    def add(self, rows: pa.Table) -> None:
        """Let rows come by."""
        rows = self.low(rows)
        if rows.num_rows:
            self._tables.append(rows)
            self._kept += rows.num_rows
        if self._kept > 2 * self._limit:
            self._prune()

    def low(self, rows: pa.Table) -> pa.Table:
        """Return those of some rows, predictions or labels, whose hash is low enough by now."""
        return rows.filter(pa.array(hash_ids(rows[PREDICTION_ID], self._seed) <= self._border))

    def taken(self) -> list[pa.Table]:
        """Return the rows that came by."""
        if self._kept:
            self._prune()
        return self._tables

    def _prune(self) -> None:
        """Forget what is not among the lowest any more."""
        rows = pa.concat_tables(self._tables, promote_options="default")
        different = np.unique(hash_ids(rows[PREDICTION_ID], self._seed))
        if len(different) > self._limit:
            self._border = different[self._limit - 1]
        self._tables = [self.low(rows)]
        self._kept = self._tables[0].num_rows


def sample_segments(
    store: ArtifactStore,
    body: SnapshotBody,
    lowest: Lowest,
    columns: Sequence[str] | None,
) -> tuple[list[pa.Table], list[pa.Table]]:
    """Return the sampled predictions, and all logged labels of them.

    Raises:
        BlobNotFoundError, BlobCorruptError, StoreUnreachableError: a segment cannot be had.
    """
    for digest in body.predictions:
        for rows in read_groups(store, digest, columns, body.range):
            lowest.add(within(rows, body))
    predictions = lowest.taken()
    labels: list[pa.Table] = []
    for digest in body.labels if predictions else ():
        groups = read_groups(store, digest, LABEL_COLUMNS, body.label_range)
        labels.extend(lowest.low(rows) for rows in groups)
    return predictions, labels


def hash_ids(ids: pa.ChunkedArray, seed: int) -> Hashes:
    """Return 64 bits for each text: a polynomial over its bytes, mixed with a seed.

    The polynomial of every text is a difference of two running sums modulo 2^64 (Rabin and Karp,
    1987); the mixer is splitmix64 (Steele et al., 2014). For sampling; no defence against somebody
    who chooses ids to be sampled.
    """
    parts = [_polynomials(chunk) for chunk in ids.chunks if len(chunk)]
    values = np.concatenate(parts) if parts else np.empty(0, np.uint64)
    return _mixed(values ^ _mixed(np.array([seed & _MASK], np.uint64)))


def _polynomials(texts: pa.Array) -> Hashes:
    texts = pc.cast(texts, pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    start, end = int(offsets[0]), int(offsets[-1])
    content = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[start:end]
    offsets = offsets - start
    terms = (content.astype(np.uint64) + np.uint64(1)) * _powers(_BASE, len(content))
    sums = np.zeros(len(content) + 1, np.uint64)
    np.cumsum(terms, out=sums[1:])
    shift = _powers(_INVERSE, len(content) + 1)[offsets[:-1]]
    found: Hashes = (sums[offsets[1:]] - sums[offsets[:-1]]) * shift
    return found


def _powers(base: int, count: int) -> Hashes:
    """Return base^0 … base^(count-1) modulo 2^64."""
    factors = np.full(count, base, np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _mixed(values: Hashes) -> Hashes:
    values = values + np.uint64(_BASE)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed
