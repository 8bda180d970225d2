"""Queries of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession


def find_model(session: ReadSession, name: str) -> Model | None:
    """Return the model of that name, archived or not; a deleted one is not there."""
    statement = select(Model).where(Model.name == name, col(Model.deleted_at).is_(None))
    return session.exec(statement).one_or_none()


def name_is_taken(session: ReadSession, name: str) -> bool:
    """Say whether there is, or ever was, a model of that name."""
    return session.exec(select(Model.id).where(Model.name == name)).first() is not None


def find_model_locked(session: WriteSession, name: str) -> Model | None:
    """Return the model of that name as last committed, its row locked until the commit.

    Locked against changes, not against references to it: a promote writes one under the locks that
    are taken last, and must not wait there for who waits for them.
    """
    statement = (
        select(Model)
        .where(Model.name == name, col(Model.deleted_at).is_(None))
        .with_for_update(key_share=True)
    )
    return session.exec(statement, execution_options={"populate_existing": True}).one_or_none()


def models_after(
    session: ReadSession,
    after: str,
    limit: int,
    *,
    archived: bool,
    names: Collection[str] | None = None,
) -> Sequence[Model]:
    """Return models by name, those behind `after` first."""
    statement = (
        select(Model)
        .where(Model.name > after, col(Model.deleted_at).is_(None))
        .order_by(col(Model.name))
        .limit(limit)
    )
    if not archived:
        statement = statement.where(col(Model.archived_at).is_(None))
    if names is not None:
        statement = statement.where(col(Model.name).in_(names))
    return session.exec(statement).all()
