"""Which slices of a window are to blame: those that are wrong, those that are merely hard.

A slice whose rows lose more than the rest may be one of which the model always was unsure: its
scores promised the loss. So two searches are made. A slice is *wrong* if its losses exceed what its
own scores promised by more than they do elsewhere; it cannot be explained by unsure scores. It is
*hard* if, among the rows outside of the wrong ones, its losses are higher than elsewhere, as
promised: features that went missing look like this, and so does every model's natural boundary.
Where scores promise no loss (a regression), a slice is just *worse*. Every good model has hard
slices, so only the hardest are named.

What always holds: the two searches share the chance of a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlreg.controller.domain.worst_slices import Findings, Searched, Slice, worst_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.contrast import Booleans, Sample
    from mlreg.controller.domain.levels import Levels
    from mlreg.controller.domain.mistakes import Mistakes

Kind = Literal["wrong", "hard", "worse", "moved"]
MOST = 10
MOST_HARD = 3


@dataclass(frozen=True, slots=True, eq=False)
class Blamed:
    """A slice, and what it is called; its mask is over all rows."""

    kind: Kind
    slice: Slice


@dataclass(frozen=True, slots=True, eq=False)
class Blame:
    """All slices that are named, and how many were looked at for them."""

    slices: tuple[Blamed, ...]
    looked_at: int
    confined: int


NOBODY = Blame((), 0, 0)


def blame_losses(
    features: Sequence[Levels], losses: Sample, mistakes: Mistakes, least: int
) -> Blame:
    """Return the slices to blame for the losses of labelled rows, the wrong ones first.

    Args:
        features: of the rows.
        losses: `mistakes.losses`, in blocks of time.
        mistakes: what else is known of the rows.
        least: rows that a slice needs.
    """
    if mistakes.promised is None:
        return _blame([("worse", worst_slices(Searched(features, losses, None, least), most=MOST))])
    beyond = replace(losses, values=losses.values - mistakes.promised)
    wrong = worst_slices(Searched(features, beyond, None, least, searches=2), most=MOST)
    left = ~np.any([np.zeros(len(losses), dtype=bool), *(one.mask for one in wrong.slices)], axis=0)
    rest = [feature.where(left) for feature in features]
    hard = worst_slices(Searched(rest, losses.where(left), None, least, searches=2), most=MOST_HARD)
    spread = tuple(replace(one, mask=_spread(one.mask, left)) for one in hard.slices)
    return _blame([("wrong", wrong), ("hard", replace(hard, slices=spread))])


def blame_moves(features: Sequence[Levels], now: Sample, before: Sample, least: int) -> Blame:
    """Return the slices whose score has moved otherwise than that of the rest."""
    return _blame([("moved", worst_slices(Searched(features, now, before, least), most=MOST))])


def _blame(found: Sequence[tuple[Kind, Findings]]) -> Blame:
    blamed = [Blamed(kind, one) for kind, findings in found for one in findings.slices]
    return Blame(
        slices=tuple(blamed[:MOST]),
        looked_at=sum(findings.looked_at for _, findings in found),
        confined=max(findings.confined for _, findings in found),
    )


def _spread(mask: Booleans, left: Booleans) -> Booleans:
    """Return a mask over some rows as one over all."""
    spread = np.zeros(len(left), dtype=bool)
    spread[np.flatnonzero(left)[mask]] = True
    return spread
