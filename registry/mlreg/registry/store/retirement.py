"""Queries of what is archived, deleted and in service; deleted rows are seen here only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select as select_columns
from sqlmodel import col, select

from mlreg.registry.store.tables import METADATA, Deployment, Model, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row

    from mlreg.registry.store.database import ReadSession, WriteSession

_deployment = METADATA.tables["deployment"]
_revision = METADATA.tables["revision"]
_IN_SERVICE = (
    select_columns(
        _deployment.c.id,
        _deployment.c.environment,
        _deployment.c.champion,
        _revision.c.candidates,
        _revision.c.fallback,
    )
    .select_from(_deployment)
    .outerjoin(
        _revision,
        (_revision.c.deployment_id == _deployment.c.id)
        & (_revision.c.number == _deployment.c.revision),
    )
    .order_by(_deployment.c.id)
)


def lock_any_model(session: WriteSession, name: str) -> Model | None:
    """Lock a model, deleted or not, against changes and against a first deployment of it."""
    statement = select(Model).where(Model.name == name).with_for_update(key_share=True)
    return session.exec(statement, execution_options={"populate_existing": True}).one_or_none()


def lock_any_version(session: WriteSession, model_id: int, number: int) -> Version | None:
    """Lock a version, deleted or not."""
    statement = (
        select(Version)
        .where(Version.model_id == model_id, Version.number == number)
        .with_for_update(key_share=True)
    )
    return session.exec(statement, execution_options={"populate_existing": True}).one_or_none()


def lock_deployments(session: WriteSession, model_id: int) -> Sequence[Row[Any]]:
    """Lock every deployment of a model, and return what each has in service as of now.

    The order is that of a promote (deployment, then audit head), and of rows by their ids. A
    deployment that does not exist yet cannot come to be while the model's row is locked.
    """
    keys = select(Deployment.id).where(Deployment.model_id == model_id)
    session.exec(keys.order_by(col(Deployment.id)).with_for_update()).all()
    return session.execute(_IN_SERVICE.where(_deployment.c.model_id == model_id)).all()


def deleted_numbers(session: ReadSession, model_id: int) -> frozenset[int]:
    """Return the numbers of a model's deleted versions."""
    statement = select(Version.number).where(
        Version.model_id == model_id, col(Version.deleted_at).is_not(None)
    )
    return frozenset(session.exec(statement))


def deleted_versions_before(
    session: ReadSession, model_id: int, before: int | None, limit: int
) -> Sequence[Version]:
    """Return a model's deleted versions, newest first, below `before`."""
    statement = select(Version).where(
        Version.model_id == model_id, col(Version.deleted_at).is_not(None)
    )
    if before is not None:
        statement = statement.where(Version.number < before)
    return session.exec(statement.order_by(col(Version.number).desc()).limit(limit)).all()


def deleted_models_after(
    session: ReadSession, after: str, limit: int, names: Collection[str] | None
) -> Sequence[Model]:
    """Return deleted models by name, those behind `after` first."""
    statement = select(Model).where(Model.name > after, col(Model.deleted_at).is_not(None))
    if names is not None:
        statement = statement.where(col(Model.name).in_(names))
    return session.exec(statement.order_by(col(Model.name)).limit(limit)).all()


def find_import(session: ReadSession, model_id: int, digest: str) -> Version | None:
    """Return the version that came of an import, None if none did or it was deleted."""
    statement = select(Version).where(
        Version.model_id == model_id,
        Version.import_digest == digest,
        col(Version.deleted_at).is_(None),
    )
    return session.exec(statement.order_by(col(Version.number)).limit(1)).one_or_none()
