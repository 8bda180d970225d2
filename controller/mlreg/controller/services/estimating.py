"""Estimated performance of a window that closed, before any of its labels.

What always holds: only profiles are read, never rows; each version is calibrated on its own matured
rows, or on those of all versions of its contract while it has too few; the readings are named
`estimated_<metric>` and their state is `estimate`: only a trigger that says
`on: estimated` judges by them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.estimation import (
    MIN_ROWS,
    Estimate,
    ScoreCounts,
    estimate,
    middles_of,
)
from mlreg.controller.domain.loss_model import LossModel
from mlreg.controller.domain.outcomes import EVEN_EDGES, Outcomes, bin_scores
from mlreg.controller.domain.profile import merge_all
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.services.label_profiles import EVEN
from mlreg.controller.store import label_profiles as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlreg.controller.domain.metrics import Floats
    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.feedback.columns import HourProfile
    from mlreg.controller.services.label_profiles import PastOutcomes
    from mlreg.registry.store.database import ReadSession


@dataclass(frozen=True, slots=True)
class Estimated:
    """The deployment whose windows are estimated."""

    model_id: int
    environment: str
    task: str
    contract: str | None
    threshold: float = 0.5


def estimates(
    session: ReadSession,
    estimated: Estimated,
    window: Interval,
    kept: Sequence[HourProfile],
    history: Sequence[Sequence[PastOutcomes]],
) -> list[WindowReading]:
    """Return the estimated readings of a window that closed; none where nothing can be said.

    Args:
        session: reads profiles.
        estimated: whose window it is.
        window: the window.
        kept: its hours outside outages, by version.
        history: what became of scores in mature windows, where the task needs it.
    """
    if estimated.task not in {"binary", "regression"} or estimated.contract is None or not kept:
        return []
    by_version = _by_version(kept)
    if estimated.task == "regression":
        found, basis = _by_loss_model(session, estimated, merge_all(list(by_version.values())))
    else:
        found, basis = _by_confidence(estimated, window, by_version, history)
    count = sum(profile.rows for profile in by_version.values())
    return [_reading(window, one, count, basis) for one in found]


def estimated_of_classes(
    history: Sequence[Sequence[PastOutcomes]], window: Interval, scores: Floats
) -> list[WindowReading]:
    """Return the estimated readings of a multiclass model, of which there is no profile.

    Args:
        history: what became of scores, window by window.
        window: the window.
        scores: rows by classes, finite.
    """
    past = [[one.outcomes for one in each if one.contract == EVEN] for each in history]
    size = len(EVEN_EDGES) + 1
    counts = [np.bincount(bin_scores(one, EVEN_EDGES), minlength=size) for one in scores.T]
    asked = ScoreCounts(np.stack(counts), middles_of(EVEN_EDGES), None)
    outcomes = [sum(each[1:], each[0]) for each in past if each]
    outcomes = [one for one in outcomes if one.table.shape[:2] == asked.counts.shape]
    found = estimate(outcomes, asked, _rng(window))
    basis = _basis("confidence", [sum(one.rows for one in outcomes)], len(outcomes))
    return [_reading(window, one, len(scores), basis) for one in found]


def needs_history(task: str) -> bool:
    """Say whether windows of a task are estimated by what became of scores before."""
    return task == "binary"


def _by_version(kept: Sequence[HourProfile]) -> dict[int, Profile]:
    found: dict[int, list[Profile]] = defaultdict(list)
    for hour in kept:
        found[hour.version].append(hour.profile)
    return {version: merge_all(parts) for version, parts in found.items()}


def _by_loss_model(
    session: ReadSession, estimated: Estimated, profile: Profile
) -> tuple[list[Estimate], dict[str, object]]:
    place = (estimated.model_id, estimated.environment)
    row = rows.find_loss_model(session, place, estimated.contract or "")
    if row is None:
        return [], {}
    model = LossModel.from_bytes(row.body)
    return model.estimate(profile), _basis("loss model", [row.rows], model.windows)


def _by_confidence(
    estimated: Estimated,
    window: Interval,
    by_version: dict[int, Profile],
    history: Sequence[Sequence[PastOutcomes]],
) -> tuple[list[Estimate], dict[str, object]]:
    """Estimate the version with the most rows; a window is mostly of one."""
    version = max(by_version, key=lambda one: by_version[one].rows)
    profile = by_version[version]
    own = _outcomes(history, estimated.contract, lambda one: one.version == version)
    others = sum(one.rows for one in own) < MIN_ROWS
    past = _outcomes(history, estimated.contract, lambda _one: True) if others else own
    edges = profile.bins.columns[profile.bins.places[SCORE]].edges
    counts = profile.column(SCORE).counts[None].astype(np.intp)
    asked = ScoreCounts(counts, middles_of(edges), estimated.threshold)
    basis = _basis("confidence", [one.rows for one in past], len(past))
    basis["calibrated_on"] = "all versions" if others else f"version {version}"
    return estimate(past, asked, _rng(window)), basis


def _outcomes(
    history: Iterable[Sequence[PastOutcomes]],
    contract: str | None,
    wanted: Callable[[PastOutcomes], bool],
) -> list[Outcomes]:
    """Return the outcomes of each window that has wanted ones, in the bins of the contract."""
    found = []
    for each in history:
        parts = [one.outcomes for one in each if one.contract == contract and wanted(one)]
        if parts:
            found.append(sum(parts[1:], parts[0]))
    return found


def _basis(method: str, counts: Sequence[int], windows: int) -> dict[str, object]:
    return {"method": method, "labelled": sum(counts), "windows": windows}


def _rng(window: Interval) -> np.random.Generator:
    return np.random.default_rng(int(window.start.timestamp()))


def _reading(
    window: Interval, one: Estimate, count: int, basis: dict[str, object]
) -> WindowReading:
    bounded = math.isfinite(one.low) and math.isfinite(one.high)
    return WindowReading(
        monitor=f"estimated_{one.metric}",
        subject=EVERYTHING,
        start=window.start,
        end=window.end,
        value=one.value,
        rows=count,
        state="estimate",
        low=one.low if bounded else None,
        high=one.high if bounded else None,
        evidence=basis,
    )
