"""Pages of monitors: all of a model, and one feature of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.drift import SIZES
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.windows import DAY, Interval
from mlreg.controller.services import backtesting, drift, explaining
from mlreg.controller.services.drift import DriftReport, NoReferenceError
from mlreg.controller.services.feature_windows import FeatureWindow, find_feature_window
from mlreg.controller.services.rollups import LENGTHS, Width
from mlreg.controller.services.trigger_records import find_waiting
from mlreg.controller.store import alerts
from mlreg.controller.web import links, trends
from mlreg.controller.web.distributions import distribution_of
from mlreg.controller.web.heatmap import heat_map
from mlreg.controller.web.rendering import page
from mlreg.controller.web.series import by_monitor, find_flags, find_readings, find_verdicts
from mlreg.controller.web.trends import Flag, Trend, trend_of
from mlreg.registry.services import catalog, status
from mlreg.registry.store.database import ReadSession
from mlreg.registry.store.tables import Model
from mlreg.registry.web.rendering import PageRoute, database_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Environment = Annotated[str, Query(max_length=63)]
Chosen = Annotated[Width, Query()]
Size = Annotated[str, Query(pattern=f"^({'|'.join(SIZES)})$")]
REACH: Mapping[Width, timedelta] = {"hour": 2 * DAY, "day": 28 * DAY, "week": 182 * DAY}
"""How far back the heat map looks, by the width of its columns."""
LOOK_BACK = 28 * DAY
TRAINED_ON = "the champion was trained on"
LOGGED_BEFORE = "were scored before the champion came"
PERFORMANCE: Mapping[str, tuple[str, ...]] = {
    "binary": ("auc", "log_loss", "brier", "calibration_error"),
    "multiclass": ("log_loss", "accuracy", "macro_f1"),
    "regression": ("rmse", "mae", "bias"),
    "ranking": ("ndcg", "mrr"),
}
SHARES = ("null_share", "unseen_share", "default_share")
WATCHED = ("rows", "score_mean", "labelled_share", "concept_loss", "label_mean", "domain_auc")
FROM_ZERO = frozenset({"rows", "labelled_share", *SHARES, *SIZES, *(f"score_{s}" for s in SIZES)})
FRAME = {
    "width": trends.WIDTH,
    "height": trends.HEIGHT,
    "left": trends.LEFT,
    "right": trends.RIGHT,
    "top": trends.TOP,
    "bottom": trends.BOTTOM,
}


@router.get("/models/{model}/monitors")
def monitors_page(
    model: str,
    request: Request,
    environment: Environment = "production",
    width: Chosen = "day",
    size: Size = "psi",
) -> Response:
    """Show what is watched of a model: alerts, performance, volume, drift by feature."""
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        report = _report(session, found, environment, width)
        readings, within = find_readings(session, found, environment, LOOK_BACK)
        flags = find_flags(session, found, environment)
        verdicts = find_verdicts(session, found, (environment, size), width, report)
        lists = _lists(session, found, environment)
    series = by_monitor(readings)
    return page(
        "monitors.html",
        model=found,
        environment=environment,
        width=width,
        widths=tuple(LENGTHS),
        size=size,
        sizes=SIZES,
        links=links,
        features=() if report is None else report.matrix.columns,
        performance=_trends(PERFORMANCE.get(found.task, ()), series, within, flags),
        others=_trends((*WATCHED, *_business(series)), series, within, flags),
        heat=report and heat_map((model, environment), report, verdicts, size, width),
        frame=FRAME,
        **lists,
    )


def _lists(session: ReadSession, model: Model, environment: str) -> dict[str, Any]:
    """Return what the page of a model lists, by the name under which its template knows it."""
    raised = alerts.list_all(session, model=model.name, state="open")
    return {
        "environments": [one.state.environment for one in status.list_status(session, model.name)],
        "waiting": find_waiting(session, model, environment),
        "alerts": [one.alert for one in raised if one.alert.environment == environment],
        "explanations": explaining.list_explanations(session, model, limit=5),
        "backtests": backtesting.list_backtests(session, model, limit=5),
    }


@router.get("/models/{model}/monitors/{feature:path}")
def feature_page(
    model: str,
    feature: str,
    request: Request,
    environment: Environment = "production",
    width: Chosen = "day",
    window: AwareDatetime | None = None,
) -> Response:
    """Show a feature: its distribution in a window beside the training rows, and over time."""
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        seen = find_feature_window(session, found, feature, (environment, width), window)
        readings, within = find_readings(session, found, environment, LOOK_BACK, feature)
        flags = find_flags(session, found, environment)
    series = by_monitor(readings)
    names = [f"score_{size}" for size in SIZES] if feature == SCORE else list(SIZES)
    shown = (*names, *SHARES)
    return page(
        "feature.html",
        model=found,
        feature=feature,
        environment=environment,
        width=width,
        widths=tuple(LENGTHS),
        links=links,
        seen=seen,
        beside=LOGGED_BEFORE if feature == SCORE else TRAINED_ON,
        around=_around(seen, width),
        drawn=distribution_of(seen.column, seen.before, seen.now),
        trends=_trends(shown, series, within, flags),
        frame=FRAME,
    )


def _report(
    session: ReadSession, model: Model, environment: str, width: Width
) -> DriftReport | None:
    try:
        return drift.drift_report(session, model, environment, width, REACH[width])
    except NoReferenceError:
        return None


def _business(series: Mapping[str, object]) -> list[str]:
    return sorted(name for name in series if name.startswith("business:"))


def _trends(
    names: Sequence[str],
    series: Mapping[str, Sequence[WindowReading]],
    within: Interval | None,
    flags: Sequence[Flag],
) -> list[Trend]:
    if within is None:
        return []
    drawn = [
        trend_of(name, series.get(name, ()), within, flags, from_zero=name in FROM_ZERO)
        for name in names
    ]
    return [one for one in drawn if one is not None]


def _around(seen: FeatureWindow, width: Width) -> tuple[datetime, datetime] | None:
    """Return the starts of the window before and the one after."""
    if seen.window is None:
        return None
    return seen.window.start - LENGTHS[width], seen.window.end
