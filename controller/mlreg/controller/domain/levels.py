"""Features as a few levels each, of which slices of rows are made.

A category is a level, so are missing values, those that the contract does not know, and those at
the default that a broken source delivers; a number has a level for each of about ten neighbouring
groups of its contract's bins, and one on either side for what lies outside of the training rows.

What always holds: a level has enough rows to be looked at (a slice is never larger than the levels
that it is made of, so nothing is lost); rows of all others have the code `len(texts)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.bins import NULL_CODE, UNSEEN_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.bins import ColumnBins

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
GROUPS = 10
MOST_LEVELS = 50
"""Of a feature with more categories the largest are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """One feature of some rows.

    Attributes:
        codes: (rows,), the level of each row, 0 to `len(texts)`.
        texts: what each level is, behind the feature's name: `= EV`, `12.5 to 20`, `missing`.
    """

    name: str
    codes: Integers
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, mask: NDArray[np.bool_]) -> Levels:
        """Return the feature of some of the rows."""
        return Levels(self.name, self.codes[mask], self.texts)


def levels_of(column: ColumnBins, values: NDArray[np.generic], least: int) -> Levels:
    """Return the levels of a feature.

    Args:
        column: its bins.
        values: numbers (not-a-number is missing), or codes (-1 is missing, -2 unseen).
        least: rows that a level needs.
    """
    if column.scale == "codes":
        return category_levels(column.name, values.astype(np.intp), column.categories, least)
    return _number_levels(column, values.astype(np.float64), least)


def category_levels(name: str, codes: Integers, texts: Sequence[str], least: int) -> Levels:
    """Return the levels of codes into `texts`; -1 is missing, -2 is none of them."""
    words = {UNSEEN_CODE: "unseen", NULL_CODE: "missing"}
    names = [*(words[code] for code in sorted(words)), *(f"= {text}" for text in texts)]
    known = np.where(codes >= len(texts), UNSEEN_CODE, codes)
    return _kept(name, known - UNSEEN_CODE, names, least)


def _number_levels(column: ColumnBins, values: Floats, least: int) -> Levels:
    """Give numbers codes: missing, at the default, then the groups from the lowest."""
    known = np.isfinite(values)
    bins = np.searchsorted(column.edges, values, side="right")
    at_default = known & (values == column.default)
    if column.default is None or np.count_nonzero(at_default) < least:
        at_default = np.zeros(len(values), dtype=bool)
    grouped = known & ~at_default
    groups = _groups(np.bincount(bins[grouped], minlength=column.size), least)
    codes = np.where(grouped, groups[bins] + 2, np.where(at_default, 1, 0))
    texts = ["missing", "at its default"]
    last = int(groups.max(initial=-1))
    texts += [_range(values[codes == group + 2]) for group in range(last + 1)]
    return _kept(column.name, codes, texts, least)


def _groups(counts: Integers, least: int) -> Integers:
    """Return the group of each bin: neighbours of about equal counts; the outer bins are alone.

    There are fewer groups where rows are few, so that each has about twice as many as it needs.
    """
    inner = counts[1:-1]
    rows = int(inner.sum())
    number = max(1, min(GROUPS, rows // (2 * least)))
    middles = np.cumsum(inner) - inner / 2.0
    places = np.minimum((middles / max(rows, 1) * number).astype(np.intp), number - 1)
    last = int(places.max(initial=-1)) + 2
    return np.concatenate([[0], places + 1, [last]]).astype(np.intp)


def _range(values: Floats) -> str:
    if not len(values):
        return "none"
    low, high = f"{values.min():.6g}", f"{values.max():.6g}"
    return f"= {low}" if low == high else f"{low} to {high}"


def _kept(name: str, codes: Integers, texts: Sequence[str], least: int) -> Levels:
    """Keep the levels with enough rows, the largest if they are too many."""
    counts = np.bincount(codes, minlength=len(texts))
    largest = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
    kept = np.sort(largest[counts[largest] >= least])
    places = np.full(len(texts), len(kept), dtype=np.intp)
    places[kept] = np.arange(len(kept))
    return Levels(name, places[codes], tuple(texts[level] for level in kept))
