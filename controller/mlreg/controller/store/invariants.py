"""Queries of declared invariants, and of what was last read of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col, select

from mlreg.controller.store.tables import InvariantSet, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession

    Place = tuple[int, str]
    """A model's id and an environment."""


def find_set(session: ReadSession, model_id: int, number: int | None = None) -> InvariantSet | None:
    """Return what was declared for a model under a number; by default the newest."""
    query = select(InvariantSet).where(InvariantSet.model_id == model_id)
    if number is not None:
        query = query.where(InvariantSet.number == number)
    return session.exec(query.order_by(col(InvariantSet.number).desc()).limit(1)).first()


def list_sets(
    session: ReadSession, model_id: int, before: int | None, limit: int
) -> Sequence[InvariantSet]:
    """Return what was declared for a model, the newest first, below a number if one is given."""
    query = select(InvariantSet).where(InvariantSet.model_id == model_id)
    if before is not None:
        query = query.where(col(InvariantSet.number) < before)
    return session.exec(query.order_by(col(InvariantSet.number).desc()).limit(limit)).all()


def newest_readings(
    session: ReadSession, place: Place, monitors: Sequence[str]
) -> dict[str, Reading]:
    """Return the newest reading of each of these monitors that has any."""
    query = (
        select(Reading)
        .where(
            Reading.model_id == place[0],
            Reading.environment == place[1],
            col(Reading.monitor).in_(monitors),
        )
        .order_by(col(Reading.monitor), col(Reading.start).desc())
        .ext(distinct_on(col(Reading.monitor)))
    )
    return {one.monitor: one for one in session.exec(query).all()}
