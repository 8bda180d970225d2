"""Drift as it is asked for: one window from its readings, many windows from stored profiles.

What always holds: nothing here reads a row, so a report costs the same whatever was logged; all
windows are compared with the present champion's reference, also those before it came.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.drift import (
    SIZES,
    DriftMatrix,
    EffectSizes,
    effect_sizes,
    yardstick_of,
)
from mlreg.controller.domain.stack import ProfileStack
from mlreg.controller.domain.windows import Interval, window_of
from mlreg.controller.services.history import score_reference
from mlreg.controller.services.profiles import find_bins, find_reference
from mlreg.controller.services.rollups import LENGTHS, Width, WindowStack, load_stack
from mlreg.controller.store.profiles import newest_hour
from mlreg.controller.store.readings import list_readings, newest_window
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.profile import Profile
    from mlreg.controller.store.tables import Reading
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model

MONITORS = (*SIZES, *(f"score_{size}" for size in SIZES), "null_share", "unseen_share")


class NoReferenceError(NotFoundError):
    """There is nothing to compare with: no champion, or none whose training rows are profiled."""

    code = "no_reference"

    def __init__(self, *, model: str, environment: str) -> None:
        super().__init__(f"{model} has no champion in {environment} with a profile of its rows")


class FeatureNotFoundError(NotFoundError):
    """The champion's contract has no feature of that name."""

    code = "feature_not_found"

    def __init__(self, *, feature: str) -> None:
        super().__init__(f"the champion has no feature {feature!r}")


@dataclass(frozen=True, slots=True)
class DriftWindow:
    """One window; `features` pairs each feature with its sizes, the most drifted first."""

    start: datetime | None
    end: datetime | None
    state: str
    features: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class DriftReport:
    """Some windows compared with the champion's reference.

    Attributes:
        starts: of the windows, in order; those without rows are left out.
        matrix: effect sizes of windows by columns.
        whole: effect sizes of all their rows together, by column.
    """

    starts: tuple[datetime, ...]
    matrix: DriftMatrix
    whole: dict[str, EffectSizes]


def newest_drift(
    session: ReadSession, model: Model, environment: str, start: datetime | None = None
) -> DriftWindow:
    """Return the effect sizes of one window, by default of the newest that was read."""
    model_id = catalog.id_of(model)
    start = start or newest_window(session, model_id, environment)
    if start is None:
        return DriftWindow(None, None, "empty", [])
    listed = list_readings(
        session, model_id=model_id, environment=environment, monitors=MONITORS, after=start
    )
    found = [one for one in listed if one.start == start]
    features = _sizes(found)
    states = {"final"} if features else {one.state for one in found}
    end = found[0].end if found else None
    return DriftWindow(start, end, min(states, default="empty"), features)


def drift_report(
    session: ReadSession, model: Model, environment: str, width: Width, reach: timedelta
) -> DriftReport:
    """Compare the newest logged windows, back to `reach` before their end, with the reference.

    Raises:
        NoReferenceError: there is none.
    """
    contract, reference = reference_of(session, model, environment)
    log, bins = (catalog.id_of(model), contract), reference.bins
    newest = newest_hour(session, log)
    if newest is None:
        windows = WindowStack((), (), ProfileStack.of([], bins))
    else:
        end = window_of(newest, LENGTHS[width]).end
        windows = load_stack(session, log, bins, width, Interval(end - reach, end)).by_start()
    matrix = yardstick_of(reference).measure(windows.stack)
    return DriftReport(windows.starts, matrix, effect_sizes(reference, windows.stack.merged()))


def chosen_columns(report: DriftReport, feature: str | None) -> list[str]:
    """Return the columns of a report, the most drifted first, or the one that is asked for.

    Raises:
        FeatureNotFoundError: it has no such column.
    """
    if feature is not None:
        if feature not in report.whole:
            raise FeatureNotFoundError(feature=feature)
        return [feature]
    return sorted(report.whole, key=lambda name: -(report.whole[name].psi or 0.0))


def verdicts_of(
    session: ReadSession, model: Model, place: tuple[str, str], width: Width, report: DriftReport
) -> dict[tuple[datetime, str], str | None]:
    """Return the verdicts of one effect size by window and feature, as they were read.

    Those of windows of another width are left out: midnight begins an hour, a day and a week.

    Args:
        session: a session.
        model: whose readings.
        place: the environment, and the effect size.
        width: of the report's windows.
        report: what the verdicts stand beside.
    """
    if not report.starts:
        return {}
    environment, size = place
    listed = list_readings(
        session,
        model_id=catalog.id_of(model),
        environment=environment,
        monitors=[size, f"score_{size}"],
        after=report.starts[0],
    )
    return {
        (one.start, one.subject): one.verdict
        for one in listed
        if one.end - one.start == LENGTHS[width]
    }


def reference_of(session: ReadSession, model: Model, environment: str) -> tuple[str, Profile]:
    """Return the champion's contract, and the profile that windows are compared with.

    Raises:
        NoReferenceError: there is none.
    """
    model_id = catalog.id_of(model)
    serving = find_serving(session, model_id, environment)
    reference = None if serving is None else find_reference(session, model_id, serving.champion)
    if serving is None or serving.contract is None or reference is None:
        raise NoReferenceError(model=model.name, environment=environment)
    bins = find_bins(session, serving.contract)
    if bins is None or bins.digest != reference.bins.digest:
        raise NoReferenceError(model=model.name, environment=environment)
    log = (model_id, serving.contract)
    whole = score_reference(session, log, reference, serving.promoted_at)
    return serving.contract, whole or reference


def _sizes(readings: Sequence[Reading]) -> list[tuple[str, dict[str, Any]]]:
    """Pair each subject of final readings with its sizes, the unusual and most drifted first."""
    sizes: dict[str, dict[str, Any]] = defaultdict(lambda: {"unusual": [], "judged": False})
    for one in readings:
        if one.state == "final":
            size = one.monitor.removeprefix("score_")
            sizes[one.subject].update({size: one.value, "rows": one.rows})
            sizes[one.subject]["judged"] |= one.verdict is not None
            if one.verdict == "unusual":
                sizes[one.subject]["unusual"].append(size)
    for found in sizes.values():
        verdict = "unusual" if found["unusual"] else "normal"
        found["verdict"] = verdict if found.pop("judged") else None
    return sorted(
        sizes.items(), key=lambda item: (not item[1]["unusual"], -(item[1].get("psi") or 0.0))
    )
