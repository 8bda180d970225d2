"""Queries of versions, their manifests and their contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.registry.store.tables import Contract, Deployment, Environment, Manifest, Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.domain.forms import Json
    from mlreg.registry.domain.manifests import Manifest as ManifestValue
    from mlreg.registry.store.database import ReadSession, WriteSession


def find_version_row(session: ReadSession, model_id: int, number: int) -> Version | None:
    """Return one version of a model, archived or not; a deleted one is not there."""
    version = session.get(Version, (model_id, number))
    return None if version is None or version.deleted_at is not None else version


def find_any_version_row(session: ReadSession, model_id: int, number: int) -> Version | None:
    """Return one version of a model, a deleted one too: what it was made from stays known."""
    return session.get(Version, (model_id, number))


def versions_before(
    session: ReadSession, model_id: int, before: int | None, limit: int, *, archived: bool = False
) -> Sequence[Version]:
    """Return a model's versions, newest first, below `before`; archived ones when asked."""
    statement = select(Version).where(
        Version.model_id == model_id, col(Version.deleted_at).is_(None)
    )
    if not archived:
        statement = statement.where(col(Version.archived_at).is_(None))
    if before is not None:
        statement = statement.where(Version.number < before)
    return session.exec(statement.order_by(col(Version.number).desc()).limit(limit)).all()


def find_champion_number(session: ReadSession, model_id: int, environment: str) -> int | None:
    """Return the number of the version that serves a model in an environment."""
    statement = select(Deployment.champion).where(
        Deployment.model_id == model_id, Deployment.environment == environment
    )
    return session.exec(statement).one_or_none()


def list_champion_numbers(session: ReadSession, model_id: int) -> Sequence[int]:
    """Return the versions that serve a model anywhere, ascending."""
    statement = (
        select(Deployment.champion)
        .where(Deployment.model_id == model_id, col(Deployment.champion).is_not(None))
        .distinct()
        .order_by(col(Deployment.champion))
    )
    return [number for number in session.exec(statement) if number is not None]


def environment_exists(session: ReadSession, name: str) -> bool:
    """Say whether an environment is declared."""
    return session.get(Environment, name) is not None


def manifest_body(session: ReadSession, digest: str) -> str:
    """Return the canonical JSON of a manifest that exists."""
    return session.exec(select(Manifest.body).where(Manifest.digest == digest)).one()


def keep_manifest(session: WriteSession, manifest: ManifestValue, now: datetime) -> None:
    """Store a manifest, once however often it comes."""
    row = {
        "digest": manifest.digest,
        "body": manifest.body,
        "total_size": manifest.total_size,
        "created_at": now,
    }
    session.execute(insert(Manifest).values(row).on_conflict_do_nothing())


def find_contract_body(session: ReadSession, digest: str) -> Mapping[str, Json] | None:
    """Return the document of a contract."""
    return session.exec(select(Contract.body).where(Contract.digest == digest)).one_or_none()


def keep_contract(session: WriteSession, digest: str, kind: str, body: Mapping[str, Json]) -> None:
    """Store a contract by its digest, once however often it comes."""
    row = {"digest": digest, "kind": kind, "body": body}
    session.execute(insert(Contract).values(row).on_conflict_do_nothing())
