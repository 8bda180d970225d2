"""Queries of the installation: which time it lives in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from mlreg.registry.store.tables import Installation

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession


def get_installation(session: ReadSession) -> Installation:
    """Return the one row of the installation."""
    return session.exec(select(Installation)).one()


def is_virtual(session: ReadSession) -> bool:
    """Say whether business time is virtual."""
    return get_installation(session).virtual_now is not None
