"""Whether scores mean what they say: calibration error, and bias.

The calibration error is the expected one (Naeini, Cooper, Hauskrecht, AAAI 2015) over bins of equal
mass, which are less biased than equally wide ones (Nixon and others, "Measuring calibration in deep
learning", 2019): the rows are cut at quantiles of the score, and the error is the mean over bins,
by weight, of |share of positives - mean score|. It is never below what chance alone makes of so
many rows. The bias is signed: mean score minus mean label, above zero where too much is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlreg.controller.domain.metrics.blocks import Floats, MeanLoss, Rows

BINS = 15


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """The calibration error of any resample of blocks, in bins that are cut once from all rows.

    Attributes:
        surplus: blocks by bins, the sum of (label - score) by weight.
    """

    surplus: Floats
    weights: Floats

    def values(self, counts: Floats) -> Floats:
        """Return the error of each draw."""
        with np.errstate(invalid="ignore", divide="ignore"):
            errors: Floats = np.abs(counts @ self.surplus).sum(axis=1) / (counts @ self.weights)
        return errors


def calibration_error(rows: Rows, scores: Floats, bins: int = BINS) -> CalibrationError:
    """Return the expected calibration error; equal scores share a bin."""
    edges: Floats = np.empty(0)
    if len(scores):
        edges = np.unique(np.quantile(scores, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, scores, side="left")
    surplus = rows.weights * (rows.labels - scores)
    flat = np.bincount(rows.blocks * bins + place, surplus, rows.block_count * bins)
    by_bin = flat.astype(np.float64).reshape(rows.block_count, bins)
    return CalibrationError(by_bin, rows.by_block(rows.weights))


def bias(rows: Rows, scores: Floats) -> MeanLoss:
    """Return the mean score minus the mean label."""
    return MeanLoss(
        rows.by_block(rows.weights * (scores - rows.labels)), rows.by_block(rows.weights)
    )
