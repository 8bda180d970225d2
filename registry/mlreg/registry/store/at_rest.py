"""Queries of blobs at rest: which to look at next, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from sqlalchemy import func, text, update
from sqlmodel import col, select

from mlreg.registry.store.blobs import CORRUPT, VERIFIED
from mlreg.registry.store.tables import Blob

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement

    from mlreg.registry.store.database import ReadSession, WriteSession

_LOOKED_AT = (VERIFIED, CORRUPT)
_COLUMNS = (Blob.digest, Blob.size, Blob.state, Blob.verified_at)
_VERSIONS_WITH = text("""
    SELECT m.name, v.number, coalesce(
        array_agg(d.environment ORDER BY d.environment) FILTER (WHERE d.id IS NOT NULL),
        '{}'
    )
    FROM blob_reference r
    JOIN version v ON (r.kind = 'manifest' AND v.manifest_digest = r.owner)
        OR (r.kind = 'stage' AND v.stage_digest = r.owner)
    JOIN model m ON m.id = v.model_id
    LEFT JOIN deployment d
        ON d.model_id = v.model_id AND d.champion = v.number AND r.kind = 'manifest'
    WHERE r.digest = :digest AND v.purged_at IS NULL
    GROUP BY m.name, v.number ORDER BY m.name, v.number
""")
_MODELS_LOGGING = text("""
    SELECT m.name FROM blob_reference r JOIN model m ON r.owner = CAST(m.id AS text)
    WHERE r.digest = :digest AND r.kind = 'segment'
""")
_OF_MODEL = cast(
    "ColumnElement[bool]",
    text("""EXISTS (
        SELECT FROM blob_reference r
        JOIN version v ON (r.kind = 'manifest' AND v.manifest_digest = r.owner)
            OR (r.kind = 'stage' AND v.stage_digest = r.owner)
        JOIN model m ON m.id = v.model_id
        WHERE r.digest = blob.digest AND m.name = :model AND v.purged_at IS NULL
    )"""),
)
_ENDANGERED = text("""
    SELECT d.model_id, m.name, d.environment, v.number, b.digest, b.fault
    FROM deployment d
    JOIN model m ON m.id = d.model_id
    JOIN version v ON v.model_id = d.model_id AND v.number = d.champion
    JOIN blob_reference r ON r.kind = 'manifest' AND r.owner = v.manifest_digest
    JOIN blob b ON b.digest = r.digest
    WHERE b.state = 'corrupt'
    ORDER BY d.id, b.digest
""")


@dataclass(frozen=True, slots=True)
class RestingBlob:
    """A blob as its row was read."""

    digest: str
    size: int
    state: str
    verified_at: datetime

    @property
    def is_corrupt(self) -> bool:
        """Whether the last look found other bytes."""
        return self.state == CORRUPT


@dataclass(frozen=True, slots=True)
class HoldingVersion:
    """A version that has a blob, and the environments whose champion it is."""

    model: str
    number: int
    environments: Sequence[str]


@dataclass(frozen=True, slots=True)
class EndangeredChampion:
    """A champion with a corrupt file."""

    model_id: int
    model: str
    environment: str
    number: int
    digest: str
    fault: str | None


def list_due(session: ReadSession, before: datetime, limit: int) -> Sequence[RestingBlob]:
    """Return the blobs whose last look is the longest ago, those looked at before a moment."""
    statement = (
        select(*_COLUMNS)
        .where(Blob.state == VERIFIED, Blob.verified_at < before)
        .order_by(col(Blob.verified_at))
        .limit(limit)
    )
    return [RestingBlob(*row) for row in session.exec(statement)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which blobs are wanted.

    Attributes:
        model: only those that versions of this model have; None is every model.
        before: only those whose last good look was before; None is all, the corrupt ones too.
    """

    model: str | None
    before: datetime | None

    def conditions(self, after: str) -> list[ColumnElement[bool]]:
        """Return the conditions on a blob's row, those behind a digest only."""
        found = [col(Blob.state).in_(_LOOKED_AT), col(Blob.digest) > after]
        if self.before is not None:
            found.append(col(Blob.verified_at) < self.before)
        if self.model is not None:
            found.append(_OF_MODEL.bindparams(model=self.model))
        return found


def list_after(
    session: ReadSession, wanted: Wanted, after: str, limit: int
) -> Sequence[RestingBlob]:
    """Return wanted blobs by digest, those behind `after` first."""
    statement = select(*_COLUMNS).where(*wanted.conditions(after))
    found = session.exec(statement.order_by(col(Blob.digest)).limit(limit))
    return [RestingBlob(*row) for row in found]


def count_after(session: ReadSession, wanted: Wanted, after: str) -> tuple[int, int]:
    """Return how many wanted blobs, and how many bytes, there are behind a digest."""
    statement = select(func.count(), func.coalesce(func.sum(Blob.size), 0))
    blobs, size = session.exec(statement.where(*wanted.conditions(after))).one()
    return int(blobs), int(size)


def list_named(session: ReadSession, digests: Collection[str]) -> Sequence[RestingBlob]:
    """Return those of some blobs that are to be looked at."""
    statement = select(*_COLUMNS).where(
        col(Blob.digest).in_(digests), col(Blob.state).in_(_LOOKED_AT)
    )
    return [RestingBlob(*row) for row in session.exec(statement.order_by(col(Blob.digest)))]


def lock_unchanged(session: WriteSession, blob: RestingBlob) -> bool:
    """Lock a blob's row, and say whether it is still as it was read."""
    statement = (
        select(Blob.digest)
        .where(
            Blob.digest == blob.digest,
            Blob.state == blob.state,
            Blob.verified_at == blob.verified_at,
        )
        .with_for_update()
    )
    return session.exec(statement).first() is not None


def note_whole(session: WriteSession, digest: str, now: datetime) -> None:
    """Write that a blob's bytes are right."""
    session.execute(
        update(Blob)
        .where(col(Blob.digest) == digest)
        .values(state=VERIFIED, verified_at=now, corrupt_at=None, fault=None, quarantine=None)
    )


def note_corrupt(session: WriteSession, digest: str, fault: str, now: datetime) -> None:
    """Write that a blob's bytes are wrong, and how."""
    session.execute(
        update(Blob)
        .where(col(Blob.digest) == digest)
        .values(state=CORRUPT, corrupt_at=now, fault=fault)
    )


def list_unquarantined(session: ReadSession, limit: int = 100) -> Sequence[RestingBlob]:
    """Return corrupt blobs whose bytes were not put aside yet."""
    statement = (
        select(*_COLUMNS)
        .where(Blob.state == CORRUPT, col(Blob.quarantine).is_(None))
        .order_by(col(Blob.verified_at))
        .limit(limit)
    )
    return [RestingBlob(*row) for row in session.exec(statement)]


def lock_unquarantined(session: WriteSession, digest: str) -> bool:
    """Lock a blob's row, and say whether its bytes are still to be put aside."""
    statement = select(Blob.digest).where(
        Blob.digest == digest, Blob.state == CORRUPT, col(Blob.quarantine).is_(None)
    )
    return session.exec(statement.with_for_update()).first() is not None


def note_quarantine(session: WriteSession, digest: str, key: str) -> None:
    """Write where the wrong bytes are kept; empty when there were none."""
    session.execute(update(Blob).where(col(Blob.digest) == digest).values(quarantine=key))


def versions_with(session: ReadSession, digest: str) -> Sequence[HoldingVersion]:
    """Return the versions that have a blob, by model and number."""
    return [HoldingVersion(*row) for row in session.execute(_VERSIONS_WITH, {"digest": digest})]


def models_logging(session: ReadSession, digest: str) -> Sequence[str]:
    """Return the models in whose feedback log a blob is."""
    return list(session.execute(_MODELS_LOGGING, {"digest": digest}).scalars())


def list_endangered(session: ReadSession) -> Sequence[EndangeredChampion]:
    """Return every champion that has a corrupt file."""
    return [EndangeredChampion(*row) for row in session.execute(_ENDANGERED)]
