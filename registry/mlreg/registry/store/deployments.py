"""Queries of deployments and their revisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select, update

from mlreg.registry.domain.revisions import Fact
from mlreg.registry.store.tables import (
    Acknowledgement,
    Blob,
    Decision,
    Deployment,
    Environment,
    Installation,
    Manifest,
    Model,
    OutboxMessage,
    Revision,
    Version,
    VersionBar,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mlreg.registry.store.database import ReadSession, WriteSession

FACTS_PAGE = 200


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a deployment is, or would be."""

    model_id: int
    archived: bool
    environment: str | None
    deployment_id: int | None


def find_place(session: ReadSession, model: str, environment: str) -> Place | None:
    """Return the keys of a model and of an environment, and of their deployment; None: no model."""
    row = session.execute(
        select(Model.id, col(Model.archived_at).is_not(None), Environment.name, Deployment.id)
        .select_from(Model)
        .outerjoin(Environment, col(Environment.name) == environment)
        .outerjoin(
            Deployment,
            (col(Deployment.model_id) == Model.id) & (col(Deployment.environment) == environment),
        )
        .where(Model.name == model)
    ).first()
    return Place(*row) if row else None


def lock_row(session: WriteSession, deployment_id: int) -> None:
    """Lock a deployment until the transaction ends."""
    session.execute(
        select(Deployment.id).where(Deployment.id == deployment_id).with_for_update()
    ).one()


def create_row(session: WriteSession, model_id: int, environment: str, now: datetime) -> int:
    """Return the deployment of a model in an environment, made empty if there is none."""
    values = {
        "model_id": model_id,
        "environment": environment,
        "revision": 0,
        "frozen": False,
        "updated_at": now,
    }
    session.execute(insert(Deployment).values(values).on_conflict_do_nothing())
    found = session.exec(
        select(Deployment.id).where(
            Deployment.model_id == model_id, Deployment.environment == environment
        )
    ).one()
    return found or 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a promote must know of a version.

    Attributes:
        manifest: the canonical JSON of its files.
        barred: a guard took it down in this deployment.
        verdict: of the newest decision on it against the present champion, or None.
        decision_id: of that decision.
    """

    manifest_digest: str
    flavour: str
    manifest: str
    barred: bool
    verdict: str | None
    decision_id: int | None


def find_candidate(
    session: ReadSession, place: Place, version: int, champion: int | None
) -> Candidate | None:
    """Return what a promote must know of a version in one query, or None when there is none."""
    barred = (
        select(VersionBar.id)
        .where(
            VersionBar.deployment_id == place.deployment_id,
            VersionBar.version == version,
            col(VersionBar.lifted_at).is_(None),
        )
        .exists()
    )
    judged = (
        select(Decision.id, Decision.verdict)
        .where(
            Decision.model_id == place.model_id,
            Decision.environment == place.environment,
            Decision.challenger == version,
            col(Decision.champion).is_not_distinct_from(champion),
        )
        .order_by(col(Decision.id).desc())
        .limit(1)
        .subquery()
    )
    row = session.execute(
        select(  # type: ignore[call-overload]
            Version.manifest_digest,
            Version.flavour,
            Manifest.body,
            barred,
            judged.c.verdict,
            judged.c.id,
        )
        .join(Manifest, col(Manifest.digest) == Version.manifest_digest)
        .outerjoin(judged, true())
        .where(Version.model_id == place.model_id, Version.number == version)
    ).first()
    return Candidate(*row) if row else None


def list_unfit_blobs(session: ReadSession, digests: Collection[str]) -> dict[str, str]:
    """Return the state of each of these blobs that is not `verified`; `missing` if unknown."""
    states = dict(
        session.exec(select(Blob.digest, Blob.state).where(col(Blob.digest).in_(digests))).all()
    )
    found = {digest: states.get(digest, "missing") for digest in digests}
    return {digest: state for digest, state in found.items() if state != "verified"}


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


def add_revision(
    session: WriteSession, revision: Revision, deployment: Mapping[str, object]
) -> None:
    """Append a revision and make it the deployment's present one, with these other columns."""
    session.execute(insert(Revision).values(revision.model_dump()))
    session.execute(
        update(Deployment)
        .where(col(Deployment.id) == revision.deployment_id)
        .values(
            revision=revision.number,
            champion=revision.champion,
            frozen=revision.frozen,
            updated_at=revision.at,
            **deployment,
        )
    )


def add_outbox_message(
    session: WriteSession, topic: str, body: Mapping[str, object], now: datetime
) -> None:
    """Leave an event of this transaction to be delivered after its commit."""
    session.execute(insert(OutboxMessage).values(topic=topic, body=dict(body), created_at=now))


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


def list_barred(session: ReadSession, deployment_id: int) -> list[int]:
    """Return the versions that are barred from a deployment now, ascending."""
    found = session.exec(
        select(VersionBar.version)
        .where(VersionBar.deployment_id == deployment_id, col(VersionBar.lifted_at).is_(None))
        .distinct()
    )
    return sorted(found)


def list_revisions(
    session: ReadSession, deployment_id: int, *, before: int | None, limit: int
) -> list[Revision]:
    """Return revisions, newest first."""
    query = select(Revision).where(Revision.deployment_id == deployment_id)
    if before is not None:
        query = query.where(Revision.number < before)
    return list(session.exec(query.order_by(col(Revision.number).desc()).limit(limit)))


def acknowledge(session: WriteSession, acknowledgement: Acknowledgement) -> None:
    """Write which revision a client serves; it may name a lower one (it restarted from a cache)."""
    values = acknowledgement.model_dump()
    session.execute(
        insert(Acknowledgement)
        .values(values)
        .on_conflict_do_update(
            index_elements=["deployment_id", "client"],
            set_={"revision": acknowledgement.revision, "at": acknowledgement.at},
        )
    )


def list_acknowledgements(
    session: ReadSession, deployment_ids: Collection[int]
) -> list[Acknowledgement]:
    """Return what the clients of these deployments say they serve, by client."""
    query = select(Acknowledgement).where(col(Acknowledgement.deployment_id).in_(deployment_ids))
    return list(session.exec(query.order_by(Acknowledgement.client)))


def environment_exists(session: ReadSession, environment: str) -> bool:
    """Say whether an environment is declared."""
    return session.get(Environment, environment) is not None
