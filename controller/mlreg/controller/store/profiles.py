"""Queries of bins, window profiles and reference profiles: bytes in, bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.domain.windows import ORIGIN
from mlreg.controller.store.tables import (
    ContractBins,
    ReferenceProfile,
    RolledProfile,
    Segment,
    WindowProfile,
)
from mlreg.registry.store.database import WriteSession
from mlreg.registry.store.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import TextClause

    from mlreg.controller.domain.windows import Interval
    from mlreg.registry.store.database import ReadSession

_CONTRACTS = text("""
    SELECT DISTINCT contract_bins.contract, contract_bins.body
    FROM version JOIN contract_bins ON contract_bins.contract = version.feature_contract
    WHERE version.model_id = :model_id
      AND (version.number = ANY(:versions)
           OR version.number IN (SELECT champion FROM deployment WHERE model_id = :model_id))
    ORDER BY contract_bins.contract
""")

_BODIES = {
    "hour": text("""
        SELECT start, version, body FROM window_profile
        WHERE model_id = :model_id AND contract = :contract
          AND start >= :start AND start < :end
        ORDER BY start, version
    """),
    "rolled": text("""
        SELECT start, version, body FROM rolled_profile
        WHERE model_id = :model_id AND contract = :contract AND width = :width
          AND start >= :start AND start < :end
        ORDER BY start, version
    """),
}
_NOT_ROLLED = text("""
    SELECT DISTINCT date_bin(:length, hours.start, :origin) AS start
    FROM window_profile AS hours
    WHERE hours.model_id = :model_id AND hours.contract = :contract
      AND hours.start >= :start AND hours.start < :end
      AND NOT EXISTS (
          SELECT FROM rolled_profile AS rolled
          WHERE rolled.model_id = hours.model_id AND rolled.contract = hours.contract
            AND rolled.version = hours.version AND rolled.width = :width
            AND rolled.start = date_bin(:length, hours.start, :origin))
    ORDER BY start
""")


class Body(NamedTuple):
    """A stored profile of a window and version, not yet decoded."""

    start: datetime
    version: int
    body: bytes


def find_bins(session: ReadSession, contract: str) -> bytes | None:
    """Return the bins of a contract, if they were made."""
    found = session.get(ContractBins, contract)
    return None if found is None else found.body


def list_bins(session: ReadSession, contracts: Sequence[str]) -> dict[str, bytes]:
    """Return the bins of those contracts that have any."""
    statement = select(ContractBins.contract, ContractBins.body)
    found = session.exec(statement.where(col(ContractBins.contract).in_(contracts)))
    return dict(found.all())


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


def list_bodies(
    session: ReadSession, log: tuple[int, str], width: str, start: datetime, end: datetime
) -> list[Body]:
    """Return the stored profiles of windows that begin in `start ≤ t < end`, by start and version.

    Args:
        session: a session.
        log: the model's id, and the contract by its digest.
        width: `hour`, `day` or `week`.
        start: the first start.
        end: the border after the last one.
    """
    statement = _BODIES["hour" if width == "hour" else "rolled"]
    values = {"model_id": log[0], "contract": log[1], "start": start, "end": end, "width": width}
    return [Body(*row) for row in fetch_with_bodies(session, statement, values)]


def first_logged(session: ReadSession, model_id: int, since: datetime) -> datetime | None:
    """Return the time of the first logged prediction since then, or earlier if nobody knows."""
    statement = (
        select(Segment.start)
        .where(
            Segment.model_id == model_id,
            Segment.kind == "predictions",
            col(Segment.end) >= since,
        )
        .order_by(col(Segment.start))
        .limit(1)
    )
    found = session.exec(statement).first()
    return None if found is None else max(found, since)


def oldest_hour(session: ReadSession, log: tuple[int, str]) -> datetime | None:
    """Return the start of the oldest hour that has a profile."""
    statement = select(func.min(WindowProfile.start)).where(
        WindowProfile.model_id == log[0], WindowProfile.contract == log[1]
    )
    return session.exec(statement).one()


def newest_hour(session: ReadSession, log: tuple[int, str]) -> datetime | None:
    """Return the start of the newest hour that has a profile."""
    statement = select(func.max(WindowProfile.start)).where(
        WindowProfile.model_id == log[0], WindowProfile.contract == log[1]
    )
    return session.exec(statement).one()


def list_not_rolled(
    session: ReadSession, log: tuple[int, str], width: tuple[str, timedelta], within: Interval
) -> list[datetime]:
    """Return the starts of days (or weeks) of which hours are stored and they themselves are not.

    A window counts that begins in the interval.
    """
    values = {
        "model_id": log[0],
        "contract": log[1],
        "width": width[0],
        "length": width[1],
        "origin": ORIGIN,
        "start": within.start,
        "end": within.end,
    }
    return [row.start for row in session.execute(_NOT_ROLLED, values)]


def keep_rolled(session: WriteSession, rolled: Sequence[RolledProfile]) -> None:
    """Write profiles of days and weeks over what was there."""
    if not rolled:
        return
    statement = insert(RolledProfile).values([one.model_dump() for one in rolled])
    changed = {"rows": statement.excluded.rows, "body": statement.excluded.body}
    keys = ["model_id", "contract", "version", "width", "start"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


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


def add_labels(session: WriteSession, model_id: int, version: int, labels: bytes) -> None:
    """Write the profile of a version's training labels beside its reference, once."""
    statement = (
        update(ReferenceProfile)
        .where(
            col(ReferenceProfile.model_id) == model_id,
            col(ReferenceProfile.version) == version,
            col(ReferenceProfile.labels).is_(None),
        )
        .values(labels=labels)
    )
    session.execute(statement)


def fetch_with_bodies(
    session: ReadSession, statement: TextClause, values: Mapping[str, object]
) -> list[tuple[Any, ...]]:
    """Run a query of bodies past SQLAlchemy, which would fetch megabytes as hexadecimal text."""
    if isinstance(session, WriteSession):
        session.flush()
        session.run_what_is_left()
    (found,) = exchange(session.connection(), [(statement, values)], binary=True)
    return found
