"""Profiles of labels: how often each class came, or how numbers are spread.

What always holds: a label's profile has one column, `label`; its bins follow from the task and from
those of the contract alone, so profiles of any two windows can be compared; numbers fall into the
bins of the score, which were cut from labels at the contract's first training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.bins import SCORE, Bins, ColumnBins
from mlreg.controller.domain.profile import Profile, profile_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LABEL = "label"


def label_bins(classes: Sequence[str], bins: Bins) -> Bins:
    """Return the bins of labels: a code per class, or, without classes, those of the score."""
    if classes:
        names = tuple(classes)
        return Bins((ColumnBins(LABEL, "codes", np.empty(0), len(names), categories=names),))
    return Bins((replace(bins.columns[bins.places[SCORE]], name=LABEL),))


def label_profile(labels: NDArray[np.float64], bins: Bins) -> Profile:
    """Summarise labels under `label_bins`; those that are not there (not-a-number) are left out.

    Merging two profiles is profiling both windows' labels.
    """
    known = labels[np.isfinite(labels)]
    if bins.columns[0].scale == "codes":
        return profile_rows({LABEL: known.astype(np.intp)}, bins)
    return profile_rows({LABEL: known}, bins)


def class_shares(profile: Profile) -> dict[str, float]:
    """Return the share of each class among the labels; nothing without labels, or for numbers."""
    column = profile.bins.columns[0]
    total = int(profile.counts.sum())
    if not total or column.scale != "codes":
        return {}
    return dict(zip(column.categories, (profile.counts / total).tolist(), strict=True))


def mean_label(profile: Profile) -> float | None:
    """Return the mean label: of two classes the share of the second; None of more classes."""
    column = profile.bins.columns[0]
    if column.scale != "codes":
        found = profile.column(LABEL).mean
        return found if np.isfinite(found) else None
    shares = list(class_shares(profile).values())
    return shares[1] if len(shares) == 2 else None  # noqa: PLR2004 - a binary task
