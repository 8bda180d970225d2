"""Queries of what serves a model: its champion, since when, and by which change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select

from mlreg.registry.store.tables import Deployment, Revision, Version

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves a model in an environment.

    Attributes:
        promoted_at: when the present champion came to serve, in business time.
        cause: of the revision that brought it: promote, policy, rollback, guard ...
        contract: the digest of its feature contract; None if it was registered without.
        created_at: when it was registered.
    """

    deployment_id: int
    revision: int
    frozen: bool
    cooldown_until: datetime | None
    champion: int
    promoted_at: datetime
    cause: str
    contract: str | None
    created_at: datetime


def find_serving(session: ReadSession, model_id: int, environment: str) -> Serving | None:
    """Return what serves, as of this transaction; None where nothing does."""
    query = (
        select(Deployment, Version)
        .join(
            Version,
            (col(Version.model_id) == Deployment.model_id)
            & (col(Version.number) == Deployment.champion),
        )
        .where(Deployment.model_id == model_id, Deployment.environment == environment)
    )
    found = session.exec(query).first()
    if found is None:
        return None
    deployment, version = found
    change = _promotion(session, deployment)
    return Serving(
        deployment_id=deployment.id or 0,
        revision=deployment.revision,
        frozen=deployment.frozen,
        cooldown_until=deployment.cooldown_until,
        champion=version.number,
        promoted_at=change.at,
        cause=change.cause,
        contract=version.feature_contract,
        created_at=version.created_at,
    )


def count_champions(session: ReadSession, model_id: int, environment: str) -> int:
    """Return how many versions serve or have served."""
    query = (
        select(func.count(func.distinct(Revision.champion)))
        .join(Deployment, col(Deployment.id) == Revision.deployment_id)
        .where(Deployment.model_id == model_id, Deployment.environment == environment)
    )
    return session.exec(query).one()


def list_champions(
    session: ReadSession, model_id: int, environment: str
) -> list[tuple[datetime, int | None]]:
    """Return since when each version served, oldest first; None where nothing did."""
    query = (
        select(Revision.at, Revision.champion)
        .join(Deployment, col(Deployment.id) == Revision.deployment_id)
        .where(Deployment.model_id == model_id, Deployment.environment == environment)
        .order_by(col(Revision.number))
    )
    found: list[tuple[datetime, int | None]] = []
    for at, champion in session.exec(query):
        if not found or found[-1][1] != champion:
            found.append((at, champion))
    return found


def _promotion(session: ReadSession, deployment: Deployment) -> Revision:
    """Return the revision since which the present champion serves without a break."""
    other = (
        select(func.coalesce(func.max(Revision.number), 0))
        .where(
            Revision.deployment_id == deployment.id,
            col(Revision.champion).is_distinct_from(deployment.champion),
        )
        .scalar_subquery()
    )
    query = (
        select(Revision)
        .where(Revision.deployment_id == deployment.id, col(Revision.number) > other)
        .order_by(col(Revision.number))
        .limit(1)
    )
    return session.exec(query).one()
