"""Queries of the feedback log: batches, their waiting bytes, segments.

What always holds: a batch's row and its waiting bytes are written by one statement; a slot of
`waiting_batch` is emptied only under a lock that keeps writers out, after a look for batches in it
that are not drained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from mlreg.controller.store.tables import Batch, Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.registry.store.database import ReadSession, WriteSession

SLOTS = 4

_INSERT = text("""
    WITH fresh AS (
        INSERT INTO batch (model_id, kind, batch_id, digest, rows, received_at)
        VALUES (:model_id, :kind, :batch_id, :digest, :rows, :received_at)
        ON CONFLICT (model_id, kind, batch_id) DO NOTHING
        RETURNING id)
    INSERT INTO waiting_batch (batch, slot, model_id, body)
    SELECT fresh.id, waiting_slot.slot, :model_id, :body FROM fresh, waiting_slot
    RETURNING batch
""")

_INSERT_CARRIED = text("""
    WITH carrier AS (SELECT nextval(pg_get_serial_sequence('batch', 'id')) AS id)
    INSERT INTO batch (model_id, kind, batch_id, digest, rows, received_at, carrier)
    SELECT :model_id, :kind, one.batch_id, one.digest, one.rows, :received_at, carrier.id
    FROM unnest(
        CAST(:batch_ids AS text[]), CAST(:digests AS text[]), CAST(:rows AS int[])
    ) AS one (batch_id, digest, rows), carrier
    ON CONFLICT (model_id, kind, batch_id) DO NOTHING
    RETURNING batch_id, carrier
""")

_INSERT_BODY = text("""
    INSERT INTO waiting_batch (batch, slot, model_id, body)
    SELECT :number, slot, :model_id, :body FROM waiting_slot
""")

_KNOWN = text("""
    SELECT batch_id, digest FROM batch
    WHERE model_id = :model_id AND kind = :kind AND batch_id = ANY(:batch_ids)
""")

_WAITING = text("""
    WITH oldest AS (
        SELECT id, carrier FROM batch
        WHERE model_id = :model_id AND segment IS NULL ORDER BY id LIMIT :limit),
    numbers AS (SELECT DISTINCT coalesce(carrier, id) AS number FROM oldest)
    SELECT number, kind, sum(rows) AS rows, array_agg(batch.id ORDER BY batch.id) AS ids
    FROM numbers JOIN batch ON batch.segment IS NULL AND (
        batch.carrier = number OR (batch.id = number AND batch.carrier IS NULL))
    GROUP BY number, kind ORDER BY number
""")

_CLAIM = text("""
    SELECT id FROM batch WHERE id = ANY(:ids) AND segment IS NULL ORDER BY id FOR UPDATE
""")

_DRAINED = text("UPDATE batch SET segment = :segment WHERE id = ANY(:ids)")

_CLAIM_SEGMENTS = text("""
    SELECT digest FROM segment WHERE digest = ANY(:digests) ORDER BY digest FOR UPDATE
""")

_REMOVE_SEGMENTS = text("DELETE FROM segment WHERE digest = ANY(:digests)")

_UNREFER = text("""
    DELETE FROM blob_reference
    WHERE digest = ANY(:digests) AND kind = 'segment' AND owner = :owner
""")

_LOCK_MODEL = text("SELECT id FROM model WHERE id = :model_id FOR NO KEY UPDATE")

_HOLD_MODEL = text("SELECT id FROM model WHERE id = :model_id FOR SHARE")

_MODELS = text("""
    SELECT batch.model_id, min(batch.received_at) AS oldest, sum(batch.rows) AS rows
    FROM batch WHERE batch.segment IS NULL
    GROUP BY batch.model_id ORDER BY batch.model_id
""")

_CURRENT_SLOT = text("SELECT slot FROM waiting_slot FOR UPDATE SKIP LOCKED")

_FILLED = "SELECT EXISTS (SELECT 1 FROM waiting_batch_{slot})"
_UNDRAINED = """
    SELECT EXISTS (
        SELECT 1 FROM waiting_batch_{slot} AS waiting
        JOIN batch ON batch.id = waiting.batch OR batch.carrier = waiting.batch
        WHERE batch.segment IS NULL)
"""


@dataclass(frozen=True, slots=True)
class WaitingBytes:
    """Bytes that wait under a number, and the batches whose rows they hold."""

    number: int
    kind: str
    rows: int
    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class WaitingModel:
    """A model with batches that wait: how old the oldest is, and how many rows there are."""

    model_id: int
    oldest: datetime
    rows: int


def insert_batch(session: WriteSession, batch: Mapping[str, Any], body: bytes) -> bool:
    """Write a batch and its bytes; False (and nothing written) if its key is taken."""
    return session.execute(_INSERT, {**batch, "body": body}).one_or_none() is not None


def insert_carried(
    session: WriteSession, batch: Mapping[str, Any], members: Sequence[tuple[str, str, int]]
) -> tuple[int | None, set[str]]:
    """Write small batches that will share their bytes.

    Args:
        session: the caller's transaction.
        batch: what they have in common: model_id, kind, received_at.
        members: of each its batch id, digest and number of rows; no id twice.

    Returns:
        The number that their bytes must be given in this transaction (`insert_body`), and the ids
        that were not taken; None and nothing if all were.
    """
    ordered = sorted(members)  # two processes that send the same ids wait for each other in order
    columns = {
        "batch_ids": [one[0] for one in ordered],
        "digests": [one[1] for one in ordered],
        "rows": [one[2] for one in ordered],
    }
    written = session.execute(_INSERT_CARRIED, {**batch, **columns}).all()
    return (written[0].carrier if written else None), {row.batch_id for row in written}


def insert_body(session: WriteSession, number: int, model_id: int, body: bytes) -> None:
    """Write the bytes that carried batches share."""
    session.execute(_INSERT_BODY, {"number": number, "model_id": model_id, "body": body})


def known_digests(
    session: ReadSession, model_id: int, kind: str, batch_ids: Sequence[str]
) -> Mapping[str, str]:
    """Return the digests of those batch ids that are taken."""
    given = {"model_id": model_id, "kind": kind, "batch_ids": list(batch_ids)}
    return {row.batch_id: row.digest for row in session.execute(_KNOWN, given)}


def get_batch(session: ReadSession, model_id: int, kind: str, batch_id: str) -> Batch:
    """Return the batch of a key that is known to be taken."""
    return session.exec(
        select(Batch).where(
            Batch.model_id == model_id, Batch.kind == kind, Batch.batch_id == batch_id
        )
    ).one()


def list_waiting(session: ReadSession, model_id: int, limit: int) -> list[WaitingBytes]:
    """Return what holds the oldest batches of a model that are not drained, by arrival.

    `limit` is of batches; those that share bytes with one of them are named beyond it.
    """
    found = session.execute(_WAITING, {"model_id": model_id, "limit": limit})
    return [WaitingBytes(row.number, row.kind, row.rows, row.ids) for row in found]


def read_bodies(session: ReadSession, numbers: Sequence[int]) -> dict[int, bytes]:
    """Return waiting bytes by their numbers; what is drained may be gone."""
    statement = text("SELECT batch, body FROM waiting_batch WHERE batch = ANY(:numbers)")
    return {row.batch: row.body for row in session.execute(statement, {"numbers": list(numbers)})}


def list_waiting_models(session: ReadSession) -> list[WaitingModel]:
    """Return the models that have batches which are not drained."""
    return [WaitingModel(row.model_id, row.oldest, row.rows) for row in session.execute(_MODELS)]


def lock_model(session: WriteSession, model_id: int) -> None:
    """Let one drain of a model commit at a time; readers and new batches do not wait."""
    session.execute(_LOCK_MODEL, {"model_id": model_id})


def hold_model(session: WriteSession, model_id: int) -> None:
    """Keep segments from coming and going until the commit; who else holds a model is welcome."""
    session.execute(_HOLD_MODEL, {"model_id": model_id})


def claim_batches(session: WriteSession, ids: Sequence[int]) -> int:
    """Lock those of the batches that are not drained yet, and return how many they are."""
    return len(session.execute(_CLAIM, {"ids": list(ids)}).all())


def mark_drained(session: WriteSession, ids: Sequence[int], segment: str) -> None:
    """Write the segment that has the rows of these batches."""
    session.execute(_DRAINED, {"ids": list(ids), "segment": segment})


def insert_segment(session: WriteSession, segment: Segment) -> None:
    """Write a segment's row, once."""
    row = segment.model_dump()
    session.execute(insert(Segment).values(row).on_conflict_do_nothing())


def list_segments(
    session: ReadSession, model_id: int, kind: str, start: datetime, end: datetime
) -> Sequence[Segment]:
    """Return the segments with rows of `start ≤ time ≤ end`, by time, then digest."""
    statement = (
        select(Segment)
        .where(
            Segment.model_id == model_id,
            Segment.kind == kind,
            Segment.start <= end,
            Segment.end >= start,
        )
        .order_by(col(Segment.start), col(Segment.end), col(Segment.digest))
    )
    return session.exec(statement).all()


def first_time(session: ReadSession, model_id: int, kind: str) -> datetime | None:
    """Return the time of the oldest row, None where there is none."""
    statement = select(func.min(Segment.start)).where(
        Segment.model_id == model_id, Segment.kind == kind
    )
    return session.exec(statement).one()


def list_small(session: ReadSession, model_id: int, kind: str, rows: int) -> Sequence[Segment]:
    """Return the segments with fewer rows than that, by time."""
    statement = (
        select(Segment)
        .where(Segment.model_id == model_id, Segment.kind == kind, Segment.rows < rows)
        .order_by(col(Segment.start), col(Segment.end), col(Segment.digest))
    )
    return session.exec(statement).all()


def claim_segments(session: WriteSession, digests: Sequence[str]) -> int:
    """Lock those of the segments that are still there, and return how many they are."""
    return len(session.execute(_CLAIM_SEGMENTS, {"digests": list(digests)}).all())


def remove_segments(session: WriteSession, digests: Sequence[str], owner: str) -> None:
    """Take segments out of the log, and their claim to their blobs."""
    session.execute(_REMOVE_SEGMENTS, {"digests": list(digests)})
    session.execute(_UNREFER, {"digests": list(digests), "owner": owner})


def count_rows(session: ReadSession, digests: Sequence[str]) -> int:
    """Return how many rows these segments hold together."""
    statement = text("SELECT coalesce(sum(rows), 0) FROM segment WHERE digest = ANY(:digests)")
    return int(session.execute(statement, {"digests": list(digests)}).scalar_one())


def lock_current_slot(session: WriteSession) -> int | None:
    """Return the slot that takes new batches, locked; None while somebody else turns the ring.

    From here on this transaction waits half a second for a lock, and no longer: readers queue up
    behind it meanwhile.
    """
    session.execute(text("SET LOCAL lock_timeout = '500ms'"))
    return session.execute(_CURRENT_SLOT).scalar_one_or_none()


def move_slot(session: WriteSession, slot: int) -> None:
    """Let new batches go to another slot."""
    session.execute(text("UPDATE waiting_slot SET slot = :slot"), {"slot": slot})


def is_slot_empty(session: ReadSession, slot: int) -> bool:
    """Say whether a slot holds no row at all."""
    return not session.execute(text(_FILLED.format(slot=int(slot)))).scalar_one()


def empty_slot(session: WriteSession, slot: int) -> bool:
    """Empty a slot as a whole, if everything in it is drained; say whether it was.

    Nobody can write into the slot between the look and the emptying; the lock waits for those who
    are about to (until `lock_timeout`).
    """
    session.execute(text(f"LOCK TABLE waiting_batch_{slot:d} IN ACCESS EXCLUSIVE MODE"))
    if session.execute(text(_UNDRAINED.format(slot=int(slot)))).scalar_one():
        return False
    session.execute(text(f"TRUNCATE waiting_batch_{slot:d}"))
    return True
