"""Queries of deployments and their revisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from mlreg.registry.store.tables import (
    Deployment,
    Installation,
    Model,
    Revision,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """What serves a model in an environment, as of one revision.

    Attributes:
        incarnation: of the installation; a restored database has another, so that revisions are
            compared only within one.
        champion_digest: of the champion's manifest.
        candidates: versions in live traffic with role and share.
        fallback: what serves instead of a model, or None.
        frozen: automation is stopped; people are not.
        at: when this revision came to be, in business time.
    """

    deployment_id: int
    model: str
    environment: str
    incarnation: str
    revision: int
    champion: int | None
    champion_digest: str | None
    candidates: list[dict[str, Any]]
    fallback: str | None
    frozen: bool
    cooldown_until: datetime | None
    at: datetime

    @property
    def etag(self) -> str:
        """The entity tag: incarnation and revision."""
        return f'"{self.incarnation}-{self.revision}"'


_COLUMNS = (
    Deployment.id,
    Model.name,
    Deployment.environment,
    Installation.incarnation,
    Deployment.revision,
    Deployment.champion,
    Version.manifest_digest,
    Revision.candidates,
    Revision.fallback,
    Deployment.frozen,
    Deployment.cooldown_until,
    Deployment.updated_at,
)


def _states() -> Any:  # noqa: ANN401 - twelve columns are more than the stubs can name
    return (
        select(*_COLUMNS)  # type: ignore[call-overload]
        .select_from(Deployment)
        .join(Model, col(Model.id) == Deployment.model_id)
        .join(Installation, col(Installation.id) == 1)
        .outerjoin(
            Revision,
            (col(Revision.deployment_id) == Deployment.id)
            & (col(Revision.number) == Deployment.revision),
        )
        .outerjoin(
            Version,
            (col(Version.model_id) == Deployment.model_id)
            & (col(Version.number) == Deployment.champion),
        )
    )


def load_states(
    session: ReadSession, deployment_ids: Collection[int] | None = None
) -> list[DeploymentState]:
    """Return the present state of these deployments, or of all, by model and environment."""
    query = _states().order_by(Model.name, Deployment.environment)
    if deployment_ids is not None:
        query = query.where(col(Deployment.id).in_(deployment_ids))
    return [_state(row) for row in session.execute(query)]


def find_state(session: ReadSession, model: str, environment: str) -> DeploymentState | None:
    """Return the present state of one deployment, or None."""
    query = _states().where(Model.name == model, Deployment.environment == environment)
    row = session.execute(query).first()
    return _state(row) if row else None


def get_state(session: ReadSession, deployment_id: int) -> DeploymentState:
    """Return the present state of a deployment that is known to exist."""
    return _state(session.execute(_states().where(col(Deployment.id) == deployment_id)).one())


def list_present_revisions(session: ReadSession) -> tuple[str, dict[int, int]]:
    """Return the incarnation, and each deployment's revision: what a poll compares."""
    incarnation = session.exec(select(Installation.incarnation)).one()
    rows = session.exec(select(Deployment.id, Deployment.revision))
    return incarnation, {number: revision for number, revision in rows if number is not None}


def _state(row: Any) -> DeploymentState:  # noqa: ANN401 - a row of the query above
    values = list(row)
    values[7] = values[7] or []
    return DeploymentState(*values)
