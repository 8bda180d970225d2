"""Queries of bins, window profiles and reference profiles: bytes in, bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import ContractBins, ReferenceProfile, WindowProfile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_CONTRACTS = text("""
    SELECT DISTINCT contract_bins.contract, contract_bins.body
    FROM version JOIN contract_bins ON contract_bins.contract = version.feature_contract
    WHERE version.model_id = :model_id
      AND (version.number = ANY(:versions)
           OR version.number IN (SELECT champion FROM deployment WHERE model_id = :model_id))
    ORDER BY contract_bins.contract
""")


def find_bins(session: ReadSession, contract: str) -> bytes | None:
    """Return the bins of a contract, if they were made."""
    found = session.get(ContractBins, contract)
    return None if found is None else found.body


def keep_bins(session: WriteSession, contract: str, body: bytes, now: datetime) -> bytes:
    """Write the bins of a contract unless it has some, and return those it has."""
    row = {"contract": contract, "body": body, "created_at": now}
    session.execute(insert(ContractBins).values(row).on_conflict_do_nothing())
    statement = select(ContractBins.body).where(ContractBins.contract == contract)
    return session.exec(statement).one()


def list_live_bins(
    session: ReadSession, model_id: int, versions: Sequence[int]
) -> dict[str, bytes]:
    """Return contract → bins, for the contracts of these versions and of every champion."""
    found = session.execute(_CONTRACTS, {"model_id": model_id, "versions": list(versions)})
    return {row.contract: row.body for row in found}


def list_windows(
    session: ReadSession, model_id: int, contract: str, start: datetime, end: datetime
) -> Sequence[WindowProfile]:
    """Return the profiles of the hours in `start ≤ hour < end`, by hour and version."""
    statement = (
        select(WindowProfile)
        .where(
            WindowProfile.model_id == model_id,
            WindowProfile.contract == contract,
            col(WindowProfile.start) >= start,
            col(WindowProfile.start) < end,
        )
        .order_by(col(WindowProfile.start), col(WindowProfile.version))
    )
    return session.exec(statement).all()


def keep_windows(session: WriteSession, windows: Sequence[WindowProfile]) -> None:
    """Write profiles of hours over what was there."""
    if not windows:
        return
    statement = insert(WindowProfile).values([window.model_dump() for window in windows])
    changed = {"rows": statement.excluded.rows, "body": statement.excluded.body}
    keys = ["model_id", "contract", "version", "start"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def find_reference(session: ReadSession, model_id: int, version: int) -> ReferenceProfile | None:
    """Return the profile of a version's training rows, if there is one."""
    return session.get(ReferenceProfile, (model_id, version))


def keep_reference(session: WriteSession, reference: ReferenceProfile) -> None:
    """Write the profile of a version's training rows, once."""
    row = reference.model_dump()
    session.execute(insert(ReferenceProfile).values(row).on_conflict_do_nothing())
