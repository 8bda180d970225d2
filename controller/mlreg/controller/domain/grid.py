"""The fine grid: a symmetric-log scale of 65,536 cells, cut from the bits of a number.

The upper 16 bits of a 32-bit float are its sign, its power of two and 7 bits of its fraction, so
they number cells that are 1/128 of a power of two wide, on both sides of zero; the 32 powers of two
around the unit hold 8,192 of them. Counting cells costs no logarithm, and neither a heavy tail nor
one huge value makes the others fall together. Not-a-number has cells of its own.

What always holds: cells in the order of `rank` are in the order of the numbers, and bins are unions
of neighbouring cells, so counting cells and then folding them is counting bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS = 1 << 16
_CHUNK = 1 << 16
_SIGN = 0x8000
_INFINITE = 0x7F80


def cells_of(values: NDArray[np.float64], center: float, unit: float) -> NDArray[np.intp]:
    """Return the cell of each value of the scale whose zero is `center`, in units of `unit`."""
    cells = np.empty(len(values), dtype=np.intp)
    scaled = np.empty(min(len(values), _CHUNK))
    narrow = np.empty(len(scaled), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            size = len(chunk)
            np.subtract(chunk, center, out=scaled[:size])
            scaled[:size] *= 1.0 / unit
            narrow[:size] = scaled[:size]
            cells[start : start + size] = narrow[:size].view(np.uint16)[_HIGH_HALF::2]
    return cells


def rank(cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the place of each cell in the order of the numbers, 0 to 65,535."""
    return np.where(cells >= _SIGN, (2 * _SIGN - 1) - cells, cells + _SIGN)


def is_null(cells: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Say which cells are those of not-a-number."""
    return (cells & 0x7FFF) > _INFINITE


def lower_bound(ranks: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the value (in units, around zero) at which the cell of each rank begins."""
    ranks = np.clip(ranks, _SIGN - _INFINITE, _SIGN + _INFINITE - 1)
    positive = ranks >= _SIGN
    # a negative cell begins at its far end: one cell further from zero than its own number
    cells = np.where(positive, ranks - _SIGN, 2 * _SIGN - ranks)
    bits = np.minimum(cells & 0x7FFF, _INFINITE - 1).astype(np.uint32) << 16
    magnitudes = bits.view(np.float32).astype(np.float64)
    values: NDArray[np.float64] = np.where(positive, magnitudes, -magnitudes)
    return values


def folding(marks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return, for each cell, its bin: how many marks (ranks, rising) it has reached.

    The cells of not-a-number have the bin after the last, `len(marks) + 1`.
    """
    widths = np.diff(np.concatenate([[0], marks, [CELLS]]))
    folded = np.repeat(np.arange(len(marks) + 1), widths)[_RANKS]
    folded[_NULL_CELLS] = len(marks) + 1
    return folded


_HIGH_HALF = int(np.array([1.0], dtype=np.float32).view(np.uint16)[1] != 0)
_RANKS = rank(np.arange(CELLS, dtype=np.intp))
_NULL_CELLS = np.flatnonzero(is_null(np.arange(CELLS, dtype=np.intp)))
