"""Tests of two samples of rows, for who asks: are they of the same distribution?

These are p-values: of many rows they are small for differences that matter to nobody, and of a
hundred features five are below 0.05 without any. Automation judges effect sizes (`season.py`).

What always holds: missing values are left out of tests of numbers and are a category of their own
in tests of categories; a test with nothing to test is None; randomness is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

Floats = NDArray[np.float64]
PERMUTATIONS = 500
KERNEL_ROWS = 1_000
"""At most so many rows of each sample enter the kernel: it has a cell for each pair."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: its statistic, and the chance of one as large if nothing had changed."""

    test: Literal["ks", "chi_square", "mmd"]
    statistic: float
    p_value: float


def kolmogorov_smirnov(first: Floats, second: Floats) -> TestResult | None:
    """Return the two-sample Kolmogorov-Smirnov test.

    The p-value is the asymptotic one with Stephens' correction for few rows; as
    `scipy.stats.ks_2samp` within two hundredths from a hundred rows on.
    """
    first, second = (np.sort(one[np.isfinite(one)]) for one in (first, second))
    if not len(first) or not len(second):
        return None
    points = np.concatenate([first, second])
    gaps = np.searchsorted(first, points, side="right") / len(first)
    gaps -= np.searchsorted(second, points, side="right") / len(second)
    distance = float(np.abs(gaps).max())
    size = np.sqrt(len(first) * len(second) / (len(first) + len(second)))
    return TestResult("ks", distance, float(kolmogorov((size + 0.12 + 0.11 / size) * distance)))


def chi_square(first: NDArray[np.intp], second: NDArray[np.intp]) -> TestResult | None:
    """Return the chi-square test of homogeneity of two samples of codes, missing ones included.

    As `scipy.stats.chi2_contingency(table, correction=False)`. Codes that are expected less than
    once in either sample are taken together, for their share of the statistic would be noise.
    """
    if not len(first) or not len(second):
        return None
    codes = np.unique(np.concatenate([first, second]), return_inverse=True)[1]
    table = np.stack(
        [
            np.bincount(part, minlength=codes.max() + 1)
            for part in (codes[: len(first)], codes[len(first) :])
        ]
    ).astype(np.float64)
    sizes = table.sum(axis=1)
    rare = table.sum(axis=0) * sizes.min() / sizes.sum() < 1.0
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    if table.shape[1] < 2:  # noqa: PLR2004 - one category has nothing to differ in
        return None
    expected = np.outer(sizes, table.sum(axis=0)) / sizes.sum()
    statistic = float((np.square(table - expected) / expected).sum())
    return TestResult("chi_square", statistic, float(chdtrc(table.shape[1] - 1, statistic)))


def mean_discrepancy(first: Floats, second: Floats, rng: np.random.Generator) -> TestResult | None:
    """Return the test of the maximum mean discrepancy of two samples of rows: of all features.

    The kernel is Gaussian, as wide as the median distance of two rows; the p-value is that of
    permutations. Gretton et al. 2012, jmlr.org/papers/v13/gretton12a.html (biased estimate, eq. 5).

    Args:
        first: (rows, features), standardised and without missing values; of more than a thousand
            rows so many are drawn.
        second: the same features of other rows.
        rng: draws rows and permutations.
    """
    first, second = (_drawn(one, rng) for one in (first, second))
    if not len(first) or not len(second):
        return None
    rows = np.concatenate([first, second])
    squares = (rows * rows).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2.0 * rows @ rows.T, 0.0)
    middle = float(np.median(distances[np.triu_indices(len(rows), 1)]))
    kernel = np.exp(-distances / (middle or 1.0))
    signs = np.concatenate(
        [np.full(len(first), 1.0 / len(first)), np.full(len(second), -1.0 / len(second))]
    )
    drawn = np.stack([rng.permutation(signs) for _ in range(PERMUTATIONS)], axis=1)
    found = float(signs @ kernel @ signs)
    others = np.einsum("ij,ij->j", drawn, kernel @ drawn)
    p_value = (1 + int((others >= found).sum())) / (1 + PERMUTATIONS)
    return TestResult("mmd", found, p_value)


def _drawn(rows: Floats, rng: np.random.Generator) -> Floats:
    if len(rows) <= KERNEL_ROWS:
        return rows
    return rows[rng.choice(len(rows), KERNEL_ROWS, replace=False)]
