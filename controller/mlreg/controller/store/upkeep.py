"""Queries of the incidents that corrupt bytes open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from mlreg.controller.store.tables import Incident, IncidentEntry

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession


def has_open_incident(
    session: ReadSession, model_id: int, environment: str, kind: str, digest: str
) -> bool:
    """Say whether an open incident of a deployment is about this blob."""
    about = (
        select(Incident.id)
        .join(IncidentEntry, col(IncidentEntry.incident_id) == Incident.id)
        .where(
            Incident.model_id == model_id,
            Incident.environment == environment,
            Incident.kind == kind,
            Incident.state == "open",
            col(IncidentEntry.evidence)["digest"].as_string() == digest,
        )
    )
    return session.exec(about.limit(1)).first() is not None
