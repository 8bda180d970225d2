"""Queries of the guard's paired differences, kept as readings of one pair of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.guards import HourDifference
from mlreg.controller.store.readings import list_readings

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.database import ReadSession


def monitor_of(metric: str) -> str:
    """Return the name of the monitor of paired differences in a loss."""
    return f"guard_{metric}"


def subject_of(champion: int, previous: int) -> str:
    """Return the subject of the readings of a pair of versions."""
    return f"{champion} against {previous}"


def list_differences(
    session: ReadSession, place: Place, monitor: str, subject: str, after: datetime
) -> dict[datetime, list[HourDifference]]:
    """Return the hours of every window of this pair that ended after a moment, by its start."""
    found = list_readings(
        session,
        model_id=place[0],
        environment=place[1],
        monitors=[monitor],
        after=after,
        subject=subject,
    )
    return {
        row.start: [HourDifference.from_json(hour) for hour in (row.evidence or {})["hours"]]
        for row in found
    }
