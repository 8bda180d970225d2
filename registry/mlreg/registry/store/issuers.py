"""Queries of trusted issuers, and of the ID tokens that were exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select

from mlreg.registry.store.tables import OidcIssuer, OidcJti

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession


def find_issuer(session: ReadSession, name: str) -> OidcIssuer | None:
    """Return the issuer of that name."""
    return session.get(OidcIssuer, name)


def issuers_of(session: ReadSession, issuer: str) -> Sequence[OidcIssuer]:
    """Return every trust in an issuer's URL, by name."""
    query = select(OidcIssuer).where(OidcIssuer.issuer == issuer)
    return session.exec(query.order_by(OidcIssuer.name)).all()


def list_issuers(session: ReadSession) -> Sequence[OidcIssuer]:
    """Return every issuer by name."""
    return session.exec(select(OidcIssuer).order_by(OidcIssuer.name)).all()


def spend(session: WriteSession, issuer: str, jti: str, expires_at: datetime) -> bool:
    """Write that an ID token is used up; False when it was already."""
    row = {"issuer": issuer, "jti": jti, "expires_at": expires_at}
    statement = insert(OidcJti).values(row).on_conflict_do_nothing().returning(col(OidcJti.jti))
    return session.execute(statement).first() is not None


def sweep_spent(session: WriteSession, before: datetime) -> None:
    """Forget ID tokens that ended before a moment."""
    session.execute(delete(OidcJti).where(col(OidcJti.expires_at) < before))
