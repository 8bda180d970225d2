"""What a regression's errors are expected to be, by what a profile shows of its rows.

Direct loss estimation: a small model learns the absolute and the squared error from matured rows
and is then asked for rows without labels (NannyML's DLE). Here the model is additive over the bins
of the score and of each feature, so the mean of its answers over a window is a dot product with the
counts that the window's profile has already: no row is read, and the cost does not grow with them.

It is fitted by backfitting (Hastie and Tibshirani, "Generalized additive models", Statistical
Science 1, 1986) with each bin shrunk towards nothing as if `LEAN` rows without effect were in it.
Like every estimate from features alone it is blind to pure concept drift.

What always holds: the interval comes from whole windows that had no part in the fit (those of even
number are judged by a model of the odd ones, and the other way round), so it holds the chance of
the labels and what the model does not know; with fewer than `MIN_WINDOWS` windows there is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from mlreg.controller.domain.bins import NULL_CODE, UNSEEN_CODE, Bins, Columns
from mlreg.controller.domain.estimation import Estimate
from mlreg.controller.domain.grid import cells_of
from mlreg.controller.domain.metrics import Floats, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import ColumnBins
    from mlreg.controller.domain.profile import Profile

LOSSES = ("mae", "rmse")
LEAN = 30.0
ROUNDS = 12
MIN_ROWS = 200
MIN_WINDOWS = 4
EXTRA = 2
"""Places of a column beyond its bins: missing, and unseen."""


@dataclass(frozen=True, slots=True, eq=False)
class LossModel:
    """An additive model of losses over the bins of one contract.

    Attributes:
        bins: the digest of the bins.
        means: by loss (absolute, squared).
        effects: losses by places of all columns.
        deviations: by loss, how far whole windows lay from what was expected; NaN: not known.
        windows: how many windows it was fitted on.
    """

    bins: str
    means: Floats
    effects: Floats
    deviations: Floats
    windows: int

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        head = {"bins": self.bins, "windows": self.windows, "losses": list(LOSSES)}
        numbers = [self.means, self.deviations, self.effects.ravel()]
        return json.dumps(head).encode() + b"\n" + np.concatenate(numbers).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> LossModel:
        """Read what `to_bytes` wrote."""
        line, _, rest = raw.partition(b"\n")
        head, numbers = json.loads(line), np.frombuffer(rest, "<f8").astype(np.float64)
        count = len(LOSSES)
        effects = numbers[2 * count :].reshape(count, -1)
        return cls(
            head["bins"], numbers[:count], effects, numbers[count : 2 * count], head["windows"]
        )

    def estimate(self, profile: Profile) -> list[Estimate]:
        """Return the expected error of a window; none of other bins, or without rows.

        Bounds are NaN where the model was fitted on too few windows to have any.
        """
        if profile.bins.digest != self.bins or not profile.rows:
            return []
        shares = _shares(profile)
        values = np.maximum(self.means + self.effects @ shares, 0.0)
        reach = self.deviations * float(stdtrit(max(self.windows - 1, 1), 0.975))
        low, high = np.maximum(values - reach, 0.0), values + reach
        found = zip(LOSSES, values, low, high, strict=True)
        return [
            Estimate(name, *(float(np.sqrt(one)) if name == "rmse" else float(one) for one in all_))
            for name, *all_ in found
        ]


def fit_losses(columns: Columns, errors: Floats, windows: Integers, bins: Bins) -> LossModel | None:
    """Return a model of the errors of labelled rows, or None of fewer than `MIN_ROWS`.

    Args:
        columns: features and score as profiles take them (`profile_rows`).
        errors: label minus score of each row, finite.
        windows: the window of each row, counted from 0.
        bins: of the contract.
    """
    if len(errors) < MIN_ROWS:
        return None
    places = np.stack([_places(columns[column.name], column) for column in bins.columns])
    losses = np.stack([np.abs(errors), np.square(errors)])
    offsets = _offsets(bins)
    fits = [_fit(places, loss, offsets) for loss in losses]
    return LossModel(
        bins=bins.digest,
        means=np.array([mean for mean, _ in fits]),
        effects=np.stack([effects for _, effects in fits]),
        deviations=np.array([_deviation(places, loss, offsets, windows) for loss in losses]),
        windows=len(np.unique(windows)),
    )


def _fit(places: Integers, loss: Floats, offsets: Integers) -> tuple[float, Floats]:
    """Return the mean, and the effect of every place of every column."""
    mean = float(loss.mean())
    effects = np.zeros(int(offsets[-1]))
    left = loss - mean
    for _ in range(ROUNDS):
        for number, place in enumerate(places):
            span = slice(int(offsets[number]), int(offsets[number + 1]))
            left += effects[span][place]
            size = span.stop - span.start
            sums, rows = np.bincount(place, left, size), np.bincount(place, minlength=size)
            effects[span] = sums / (rows + LEAN)
            left -= effects[span][place]
    return mean, effects


def _deviation(places: Integers, loss: Floats, offsets: Integers, windows: Integers) -> float:
    """Return how far whole windows lie from what a model of the other half expects of them."""
    numbers = np.unique(windows)
    if len(numbers) < MIN_WINDOWS:
        return float("nan")
    missed: list[float] = []
    for half in (0, 1):
        judged = windows % 2 == half
        if judged.all() or not judged.any():
            return float("nan")
        mean, effects = _fit(places[:, ~judged], loss[~judged], offsets)
        flat = places[:, judged] + offsets[:-1, None]
        gaps = loss[judged] - mean - effects[flat].sum(axis=0)
        own = windows[judged]
        sums, rows = np.bincount(own, gaps), np.bincount(own)
        missed.extend(sums[rows > 0] / rows[rows > 0])
    return float(np.sqrt(np.mean(np.square(missed))))


def _offsets(bins: Bins) -> Integers:
    sizes = [column.size + EXTRA for column in bins.columns]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)


def _shares(profile: Profile) -> Floats:
    """Return the share of a profile's rows at each place of each column."""
    parts = []
    for column in profile.bins.columns:
        seen = profile.column(column.name)
        parts.append(np.concatenate([seen.counts, [seen.nulls, seen.unseen]]))
    shares: Floats = np.concatenate(parts).astype(np.float64) / profile.rows
    return shares


def _places(values: NDArray[np.generic], column: ColumnBins) -> Integers:
    """Return the place of each value: its bin, or beyond the bins where missing or unseen."""
    if column.scale == "codes":
        codes = values.astype(np.intp)
        unseen = (codes == UNSEEN_CODE) | (codes >= column.size)
        beyond = np.where(unseen, column.size + 1, codes)
        return np.where(codes == NULL_CODE, column.size, beyond).astype(np.intp)
    numbers = values.astype(np.float64)
    if column.folded is None:
        bins = np.searchsorted(column.marks, numbers, side="right")
        return np.where(np.isnan(numbers), column.size, bins).astype(np.intp)
    return column.folded[cells_of(numbers, column.center, column.unit)]
