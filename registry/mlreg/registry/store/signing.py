"""Queries of trusted keys and of the signatures of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, update
from sqlmodel import col, or_, select

from mlreg.registry.store.tables import Model, SigningKey, VersionSignature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession


def find_key(session: ReadSession, key: str) -> SigningKey | None:
    """Return a key, removed or not."""
    return session.get(SigningKey, key)


def find_key_locked(session: WriteSession, key: str) -> SigningKey | None:
    """Return a key as last committed, locked against its removal until the commit."""
    query = select(SigningKey).where(SigningKey.id == key).with_for_update(read=True)
    return session.exec(query, execution_options={"populate_existing": True}).one_or_none()


def all_keys(session: ReadSession) -> Sequence[SigningKey]:
    """Return every key, the newest first, removed ones too."""
    order = col(SigningKey.created_at).desc(), col(SigningKey.id)
    return session.exec(select(SigningKey).order_by(*order)).all()


def keys_for(session: ReadSession, model: str, kinds: Sequence[str]) -> Sequence[SigningKey]:
    """Return the keys of some kinds that may sign for a model now."""
    models = col(SigningKey.models)
    query = select(SigningKey).where(
        col(SigningKey.removed_at).is_(None),
        col(SigningKey.kind).in_(kinds),
        or_(models.is_(None), func.jsonb_exists(models, model)),
    )
    return session.exec(query.order_by(col(SigningKey.id))).all()


def signatures_of(
    session: ReadSession, model_id: int, number: int
) -> Sequence[tuple[VersionSignature, SigningKey]]:
    """Return the signatures of a version with their keys, the oldest first."""
    query = (
        select(VersionSignature, SigningKey)
        .join(SigningKey, col(SigningKey.id) == VersionSignature.key_id)
        .where(VersionSignature.model_id == model_id, VersionSignature.number == number)
        .order_by(col(VersionSignature.id))
    )
    return session.exec(query).all()


def require(session: WriteSession, model: str, *, required: bool) -> bool:
    """Write whether new versions must be signed; False if there is no such model."""
    found = session.execute(
        update(Model)
        .where(col(Model.name) == model, col(Model.deleted_at).is_(None))
        .values(requires_signature=required)
        .returning(col(Model.id))
    )
    return found.first() is not None
