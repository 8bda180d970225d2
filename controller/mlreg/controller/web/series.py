"""Readings as the pages show them: of the last windows, by monitor, with what went with them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.windows import DAY, Interval
from mlreg.controller.services.drift import verdicts_of
from mlreg.controller.store.readings import list_readings, newest_window, window_reading
from mlreg.controller.store.serving import find_serving
from mlreg.controller.web.trends import Flag
from mlreg.registry.services import catalog, status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.services.drift import DriftReport
    from mlreg.controller.services.rollups import Width
    from mlreg.controller.web.heatmap import Verdicts
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Model


def find_readings(
    session: ReadSession, model: Model, environment: str, reach: timedelta, subject: str = ""
) -> tuple[list[WindowReading], Interval | None]:
    """Return the readings about a subject, oldest first, and the stretch of time they are of.

    It ends with the newest window that was read; None before any was.
    """
    newest = newest_window(session, catalog.id_of(model), environment)
    if newest is None:
        return [], None
    found = list_readings(
        session,
        model_id=catalog.id_of(model),
        environment=environment,
        after=newest - reach,
        subject=subject,
    )
    end = max((one.end for one in found), default=newest + DAY)
    return [window_reading(one) for one in found], Interval(newest - reach, end)


def find_verdicts(
    session: ReadSession,
    model: Model,
    place: tuple[str, str],
    width: Width,
    report: DriftReport | None,
) -> Verdicts:
    """Return the verdicts of one effect size, of windows that are as long as the columns."""
    return {} if report is None else verdicts_of(session, model, place, width, report)


def find_flags(session: ReadSession, model: Model, environment: str) -> list[Flag]:
    """Return when another version came to serve, and which."""
    if find_serving(session, catalog.id_of(model), environment) is None:
        return []
    flags: list[Flag] = []
    champion = None
    for past in reversed(status.list_history(session, model.name, environment, limit=200)):
        if past.revision.champion != champion:
            champion = past.revision.champion
            flags.append(Flag(past.revision.at, f"v{champion}" if champion else "none"))
    return flags


def by_monitor(readings: Sequence[WindowReading]) -> dict[str, list[WindowReading]]:
    """Return readings by monitor; an estimate stands in for a window without a value."""
    series: dict[str, dict[datetime, WindowReading]] = {}
    for one in readings:
        series.setdefault(one.monitor, {})[one.start] = one
    for monitor in [name for name in series if name.startswith("estimated_")]:
        own = series.setdefault(monitor.removeprefix("estimated_"), {})
        for start, one in series[monitor].items():
            if start not in own or own[start].value is None:
                own[start] = one
    return {name: [found[start] for start in sorted(found)] for name, found in series.items()}
