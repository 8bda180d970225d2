"""Queries of card notes, and of the decisions on a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from mlreg.registry.store.tables import CardNote, Decision, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession


def list_notes(
    session: ReadSession, model_id: int, *, section: str | None = None, limit: int = 1_000
) -> Sequence[CardNote]:
    """Return the notes on a model and its versions, newest first."""
    statement = select(CardNote).where(CardNote.model_id == model_id)
    if section is not None:
        statement = statement.where(CardNote.section == section)
    return session.exec(statement.order_by(col(CardNote.id).desc()).limit(limit)).all()


def list_decisions_on(session: ReadSession, version: Version, limit: int) -> Sequence[Decision]:
    """Return the decisions on a version, newest first."""
    statement = (
        select(Decision)
        .where(Decision.model_id == version.model_id, Decision.challenger == version.number)
        .order_by(col(Decision.id).desc())
        .limit(limit)
    )
    return session.exec(statement).all()
