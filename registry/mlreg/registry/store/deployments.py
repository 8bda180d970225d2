"""Queries of deployments and their revisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, bindparam, literal_column
from sqlalchemy import select as select_columns
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select, update

from mlreg.registry.domain.revisions import Fact
from mlreg.registry.store.tables import (
    METADATA,
    Acknowledgement,
    Deployment,
    Installation,
    Revision,
    Version,
    VersionBar,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

FACTS_PAGE = 200
_IS_NEW = literal_column("xmax = 0", Boolean)  # no transaction has touched the row before this one


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
        approvals_required: how many a promote needs.
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
    approvals_required: int
    at: datetime

    @property
    def etag(self) -> str:
        """The entity tag: incarnation and revision."""
        return f'"{self.incarnation}-{self.revision}"'


_model = METADATA.tables["model"]
_deployment = METADATA.tables["deployment"]
_revision = METADATA.tables["revision"]
_version = METADATA.tables["version"]
_installation = METADATA.tables["installation"]

STATES = (
    select_columns(
        _deployment.c.id,
        _model.c.name,
        _deployment.c.environment,
        _installation.c.incarnation,
        _deployment.c.revision,
        _deployment.c.champion,
        _version.c.manifest_digest,
        _revision.c.candidates,
        _revision.c.fallback,
        _deployment.c.frozen,
        _deployment.c.cooldown_until,
        _deployment.c.approvals_required,
        _deployment.c.updated_at,
    )
    .select_from(_deployment)
    .join(_model, _model.c.id == _deployment.c.model_id)
    .join(_installation, _installation.c.id == 1)
    .outerjoin(
        _revision,
        (_revision.c.deployment_id == _deployment.c.id)
        & (_revision.c.number == _deployment.c.revision),
    )
    .outerjoin(
        _version,
        (_version.c.model_id == _deployment.c.model_id)
        & (_version.c.number == _deployment.c.champion),
    )
    .order_by(_model.c.name, _deployment.c.environment)
)
_STATE_BY_ID = STATES.where(_deployment.c.id == bindparam("key"))
_STATES_BY_IDS = STATES.where(_deployment.c.id.in_(bindparam("keys", expanding=True)))
_STATE_BY_NAME = STATES.where(
    _model.c.name == bindparam("model"), _deployment.c.environment == bindparam("environment")
)


def load_states(
    session: ReadSession, deployment_ids: Collection[int] | None = None
) -> list[DeploymentState]:
    """Return the present state of these deployments, or of all, by model and environment."""
    if deployment_ids is None:
        return [state_of(row) for row in session.execute(STATES)]
    found = session.execute(_STATES_BY_IDS, {"keys": list(deployment_ids)})
    return [state_of(row) for row in found]


def find_state(session: ReadSession, model: str, environment: str) -> DeploymentState | None:
    """Return the present state of one deployment, or None."""
    row = session.execute(_STATE_BY_NAME, {"model": model, "environment": environment}).first()
    return state_of(row) if row else None


def get_state(session: ReadSession, deployment_id: int) -> DeploymentState:
    """Return the present state of a deployment that is known to exist."""
    return state_of(session.execute(_STATE_BY_ID, {"key": deployment_id}).one())


def list_present_revisions(session: ReadSession) -> tuple[str, dict[int, int]]:
    """Return the incarnation, and each deployment's revision: what a poll compares."""
    incarnation = session.exec(select(Installation.incarnation)).one()
    rows = session.exec(select(Deployment.id, Deployment.revision))
    return incarnation, {number: revision for number, revision in rows if number is not None}


def state_of(row: Sequence[Any]) -> DeploymentState:
    """Return the state that a row of `STATES` is."""
    values = list(row)
    values[7] = values[7] or []
    return DeploymentState(*values)


def walk_facts(session: ReadSession, deployment_id: int) -> Iterator[Fact]:
    """Yield the revisions of a deployment, newest first, a page at a time."""
    before = 2**31 - 1
    while True:
        page = session.exec(
            select(Revision.number, Revision.champion, Revision.cause)
            .where(Revision.deployment_id == deployment_id, Revision.number < before)
            .order_by(col(Revision.number).desc())
            .limit(FACTS_PAGE)
        ).all()
        for row in page:
            yield Fact(*row)
        if len(page) < FACTS_PAGE:
            return
        before = page[-1][0]


def deleted_versions(session: ReadSession, deployment_id: int) -> frozenset[int]:
    """Return the numbers of the deleted versions of a deployment's model."""
    statement = (
        select(Version.number)
        .join(Deployment, col(Deployment.model_id) == Version.model_id)
        .where(Deployment.id == deployment_id, col(Version.deleted_at).is_not(None))
    )
    return frozenset(session.exec(statement))


def was_champion(session: ReadSession, deployment_id: int, version: int) -> bool:
    """Say whether a version was ever champion of a deployment."""
    return (
        session.exec(
            select(Revision.number)
            .where(Revision.deployment_id == deployment_id, Revision.champion == version)
            .limit(1)
        ).first()
        is not None
    )


def add_bar(session: WriteSession, bar: VersionBar) -> None:
    """Bar a version from a deployment."""
    session.add(bar)
    session.flush()


def lift_bars(
    session: WriteSession, deployment_id: int, version: int, *, by: str, now: datetime
) -> int:
    """Lift every bar of a version; return how many there were."""
    lifted = session.execute(
        update(VersionBar)
        .where(
            col(VersionBar.deployment_id) == deployment_id,
            col(VersionBar.version) == version,
            col(VersionBar.lifted_at).is_(None),
        )
        .values(lifted_at=now, lifted_by=by)
        .returning(col(VersionBar.id))
    )
    return len(lifted.all())


def list_revisions(
    session: ReadSession, deployment_id: int, *, before: int | None, limit: int
) -> list[Revision]:
    """Return revisions, newest first."""
    query = select(Revision).where(Revision.deployment_id == deployment_id)
    if before is not None:
        query = query.where(Revision.number < before)
    return list(session.exec(query.order_by(col(Revision.number).desc()).limit(limit)))


def acknowledge(session: WriteSession, acknowledgement: Acknowledgement) -> bool:
    """Write which revision a client serves; it may name a lower one (it restarted from a cache).

    Returns:
        Whether the client is new.
    """
    values = acknowledgement.model_dump()
    statement = insert(Acknowledgement).values(values)
    changed = {"revision": acknowledgement.revision, "at": acknowledgement.at}
    kept = statement.on_conflict_do_update(index_elements=["deployment_id", "client"], set_=changed)
    return bool(session.execute(kept.returning(_IS_NEW)).scalar_one())


def forget_acknowledgements(session: WriteSession, newest: Acknowledgement, kept: int) -> None:
    """Forget the clients of a deployment that spoke the longest ago; so many stay, and `newest`."""
    others = (
        col(Acknowledgement.deployment_id) == newest.deployment_id,
        col(Acknowledgement.client) != newest.client,
    )
    query = select(Acknowledgement.client).where(*others)
    oldest = query.order_by(col(Acknowledgement.at).desc()).offset(kept - 1)
    session.execute(delete(Acknowledgement).where(*others, col(Acknowledgement.client).in_(oldest)))


def list_acknowledgements(
    session: ReadSession, deployment_ids: Collection[int]
) -> list[Acknowledgement]:
    """Return what the clients of these deployments say they serve, by client."""
    query = select(Acknowledgement).where(col(Acknowledgement.deployment_id).in_(deployment_ids))
    return list(session.exec(query.order_by(Acknowledgement.client)))


def list_frozen_reasons(session: ReadSession, deployment_ids: Collection[int]) -> dict[int, str]:
    """Return why each of these deployments is frozen, for those that are."""
    found = session.exec(
        select(Deployment.id, Deployment.frozen_reason).where(
            col(Deployment.id).in_(deployment_ids), col(Deployment.frozen)
        )
    )
    return {key: reason or "" for key, reason in found if key is not None}


def list_all_barred(session: ReadSession, deployment_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the versions that are barred now, by deployment, ascending."""
    found = session.exec(
        select(VersionBar.deployment_id, VersionBar.version)
        .where(
            col(VersionBar.deployment_id).in_(deployment_ids), col(VersionBar.lifted_at).is_(None)
        )
        .distinct()
        .order_by(col(VersionBar.version))
    )
    barred: dict[int, list[int]] = {}
    for deployment_id, version in found:
        barred.setdefault(deployment_id, []).append(version)
    return barred
