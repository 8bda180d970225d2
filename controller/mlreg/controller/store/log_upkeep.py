"""Queries of what leaves the feedback log for good: retention, erasures, and the segments lost.

What always holds: a segment that leaves takes its row, its claim to its blob and those of the
snapshots that referred to it along, and is written down as lost, in one transaction; snapshots stay
as they are, and who opens one asks here what it lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import String, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, select

from mlreg.controller.store.tables import Erasure, LostSegment, Retention

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.batches import Kind
    from mlreg.registry.store.database import ReadSession, WriteSession

_HOLDERS = """
    SELECT digest FROM segment WHERE model_id = :model_id AND kind = '{kind}'
    UNION
    SELECT jsonb_array_elements_text(body::jsonb -> '{kind}') FROM snapshot
    WHERE model_id = :model_id
    EXCEPT SELECT digest FROM lost_segment
    ORDER BY 1
"""
_IN_LOG = text("SELECT digest FROM segment WHERE digest = ANY(:digests) ORDER BY digest FOR UPDATE")
_SNAPSHOTS = text("""
    SELECT count(DISTINCT owner) FROM blob_reference
    WHERE digest = ANY(:digests) AND kind = 'snapshot'
""")
_OF_SOURCES = text("""
    SELECT body FROM snapshot
    WHERE model_id = :model_id AND CAST(body AS jsonb) ? 'source' ORDER BY digest
""")
_JOIN = text("""
    UPDATE erasure SET entity = NULL, ended_at = :now, predictions = 0, labels = 0,
        report = CAST(:report AS jsonb)
    WHERE model_id = :model_id AND entity_digest = :entity_digest AND id < :number
    AND ended_at IS NULL
""")
_LEAVE = text("""
    WITH gone AS (DELETE FROM segment WHERE digest = ANY(:digests))
    DELETE FROM blob_reference
    WHERE digest = ANY(:digests) AND kind IN ('segment', 'snapshot')
""")
_DELETE_DRAINED = text("""
    DELETE FROM waiting_batch AS waiting
    WHERE waiting.model_id = :model_id AND NOT EXISTS (
        SELECT 1 FROM batch
        WHERE batch.segment IS NULL
        AND (batch.id = waiting.batch OR batch.carrier = waiting.batch))
""")

_EXPIRED = text("""
    SELECT segment.digest, segment.rows FROM segment
    WHERE segment.model_id = :model_id AND segment."end" < :before
    AND NOT EXISTS (
        SELECT 1 FROM blob_reference AS pin
        JOIN snapshot ON snapshot.digest = pin.owner
        WHERE pin.kind = 'snapshot' AND pin.digest = segment.digest AND (
            snapshot.created_at >= :before OR EXISTS (
                SELECT 1 FROM version
                WHERE version.model_id = segment.model_id AND version.purged_at IS NULL
                AND version.snapshots @> to_jsonb(snapshot.digest))))
    ORDER BY segment.digest LIMIT :limit FOR UPDATE OF segment SKIP LOCKED
""")
_EXPIRED_HELD = text("""
    SELECT pin.digest FROM blob_reference AS pin
    JOIN snapshot ON snapshot.digest = pin.owner
    WHERE pin.kind = 'snapshot' AND snapshot.model_id = :model_id
    AND CAST(snapshot.body AS jsonb) ? 'predictions'
    AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.digest = pin.digest)
    GROUP BY pin.digest
    HAVING bool_and(
        snapshot.created_at + interval '1 day' < :before AND NOT EXISTS (
            SELECT 1 FROM version
            WHERE version.model_id = :model_id AND version.purged_at IS NULL
            AND version.snapshots @> to_jsonb(snapshot.digest)))
    ORDER BY pin.digest LIMIT :limit
""")
_FORGET = text("""
    DELETE FROM batch WHERE id IN (
        SELECT id FROM batch
        WHERE model_id = :model_id AND segment IS NOT NULL AND received_at < :before
        LIMIT :limit)
""")


@dataclass(frozen=True, slots=True)
class Loss:
    """A segment that leaves the log: how many rows go with it, and what takes its place."""

    digest: str
    rows: int
    replaced_by: str | None = None


def find_retention(session: ReadSession, model_id: int) -> Retention | None:
    """Return how long a model's rows are kept, None for ever."""
    return session.get(Retention, model_id)


def list_retentions(session: ReadSession) -> Sequence[Retention]:
    """Return the models whose rows are not kept for ever."""
    return session.exec(select(Retention).order_by(col(Retention.model_id))).all()


def set_retention(session: WriteSession, retention: Retention) -> None:
    """Write how long a model's rows are kept."""
    row = retention.model_dump()
    statement = insert(Retention).values(row)
    changed = {name: value for name, value in row.items() if name != "model_id"}
    session.execute(statement.on_conflict_do_update(index_elements=["model_id"], set_=changed))


def clear_retention(session: WriteSession, model_id: int) -> None:
    """Keep a model's rows for ever."""
    session.execute(text("DELETE FROM retention WHERE model_id = :id"), {"id": model_id})


def list_expired(session: WriteSession, model_id: int, before: datetime, limit: int) -> list[Loss]:
    """Return, locked, segments whose rows are all older than a moment, and that nothing pins.

    A version that is not purged pins the segments of its snapshots; so does a snapshot that was
    frozen after that moment, for somebody may be at work with it.
    """
    given = {"model_id": model_id, "before": before, "limit": limit}
    return [Loss(row.digest, row.rows) for row in session.execute(_EXPIRED, given)]


def list_expired_held(
    session: ReadSession, model_id: int, before: datetime, limit: int
) -> list[str]:
    """Return segments that the log has merged since, for old snapshots which no version needs.

    Their rows are older than the snapshots are, but for a day that a clock may be ahead.
    """
    given = {"model_id": model_id, "before": before, "limit": limit}
    return [row.digest for row in session.execute(_EXPIRED_HELD, given)]


def forget_batches(session: WriteSession, model_id: int, before: datetime, limit: int) -> int:
    """Forget the ids of drained batches that came before a moment; return how many."""
    given = {"model_id": model_id, "before": before, "limit": limit}
    return cast("int", session.execute(_FORGET, given).rowcount)  # type: ignore[attr-defined]


def list_holders(session: ReadSession, model_id: int, kind: Kind) -> list[str]:
    """Return every segment of a model that is there, in the log or for a snapshot only."""
    found = session.execute(text(_HOLDERS.format(kind=kind)), {"model_id": model_id})
    return [row[0] for row in found]


def lock_in_log(session: WriteSession, digests: Sequence[str]) -> set[str]:
    """Lock those of the segments that the log has, and return them."""
    return {row[0] for row in session.execute(_IN_LOG, {"digests": list(digests)})}


def lose(
    session: WriteSession,
    model_id: int,
    losses: Sequence[Loss],
    *,
    cause: str,
    now: datetime,
    erasure_id: int | None = None,
) -> None:
    """Take segments out of the log and from under their snapshots, and write that down."""
    if not losses:
        return
    session.execute(_LEAVE, {"digests": [loss.digest for loss in losses]})
    rows = [
        LostSegment(
            digest=loss.digest,
            model_id=model_id,
            cause=cause,
            erasure_id=erasure_id,
            replaced_by=loss.replaced_by,
            rows=loss.rows,
            at=now,
        ).model_dump()
        for loss in losses
    ]
    session.execute(insert(LostSegment).values(rows).on_conflict_do_nothing())


def list_lost(session: ReadSession, digests: Sequence[str]) -> Sequence[LostSegment]:
    """Return those of the segments that are lost."""
    among = any_(literal(sorted(set(digests)), ARRAY(String)))
    statement = select(LostSegment).where(col(LostSegment.digest) == among)
    return session.exec(statement.order_by(col(LostSegment.digest))).all()


def delete_drained(session: WriteSession, model_id: int) -> None:
    """Delete the waiting bytes of a model that are drained, before their slot is emptied."""
    session.execute(_DELETE_DRAINED, {"model_id": model_id})


def count_snapshots(session: ReadSession, digests: Sequence[str]) -> int:
    """Return how many snapshots refer to any of these segments or files."""
    found = session.execute(_SNAPSHOTS, {"digests": list(digests)})
    return cast("int", found.scalar_one())


def list_bodies_of_sources(session: ReadSession, model_id: int) -> list[str]:
    """Return the manifests of a model's snapshots of sources, as JSON."""
    return [row.body for row in session.execute(_OF_SOURCES, {"model_id": model_id})]


def end_earlier(session: WriteSession, erasure: Erasure, report: str, now: datetime) -> None:
    """End the earlier erasures of the same entity that were not done: this one does their work."""
    given = {
        "model_id": erasure.model_id,
        "entity_digest": erasure.entity_digest,
        "number": erasure.id,
        "report": report,
        "now": now,
    }
    session.execute(_JOIN, given)


def find_erasure(session: ReadSession, number: int) -> Erasure | None:
    """Return an erasure by its number."""
    return session.get(Erasure, number)


def list_erasures(
    session: ReadSession, model_id: int, before: int | None, limit: int
) -> Sequence[Erasure]:
    """Return erasures of a model, the newest first, below a number where one is given."""
    statement = select(Erasure).where(Erasure.model_id == model_id)
    if before is not None:
        statement = statement.where(col(Erasure.id) < before)
    return session.exec(statement.order_by(col(Erasure.id).desc()).limit(limit)).all()
