"""Many small JSON batches of one model, checked together and kept in one transaction.

What always holds: each is judged as if it had come alone, by the same rules and in the same words;
one that breaks a rule, or whose id is taken by other bytes, fails alone; what `keep_together`
returns as accepted is durable when the session commits. Rows are merged only with rows that name
the same columns, so that a column which one of them lacks is missed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from mlreg.controller.domain.batches import (
    Accepted,
    BatchConflictError,
    InvalidRowsError,
    Kind,
    checked_batch_id,
)
from mlreg.controller.feedback.bodies import read_json, rows_of_json, table_of
from mlreg.controller.feedback.rows import checked_rows, rules_of
from mlreg.controller.feedback.schemas import batch_schema
from mlreg.controller.store import feedback
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.services.catalog import id_of

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.feedback.rows import RowRules
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model

Outcome: TypeAlias = Accepted | RegistryError


@dataclass(frozen=True, slots=True)
class SmallBody:
    """One request: its JSON, the batch id that its query names, and what the JSON was read as."""

    content: bytes
    batch_id: str | None = None
    document: object = None


@dataclass(frozen=True, slots=True)
class SmallBatch:
    """One request that was read and, with `rows`, checked."""

    place: int
    batch_id: str
    digest: str
    rows: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """The checked rows of some requests, one after the other."""

    members: Sequence[SmallBatch]
    table: pa.Table


@dataclass(frozen=True, slots=True)
class CheckedTogether:
    """What became of the requests of one model: tables to keep, and errors by place."""

    tables: Sequence[CheckedTable]
    errors: Mapping[int, RegistryError]


def check_together(
    model: Model, kind: Kind, bodies: Sequence[SmallBody], *, now: datetime
) -> CheckedTogether:
    """Read and check requests of one model; needs no session."""
    rules = rules_of(model, batch_schema(model, kind), now)
    errors: dict[int, RegistryError] = {}
    alike: dict[object, list[SmallBatch]] = {}
    for place, body in enumerate(bodies):
        try:
            batch = _read(place, body)
        except RegistryError as error:
            errors[place] = error
            continue
        alike.setdefault(_likeness(batch), []).append(batch)
    tables = [part for members in alike.values() for part in _checked(members, rules, errors)]
    return CheckedTogether(tables, errors)


def keep_together(
    session: WriteSession, model: Model, kind: Kind, checked: CheckedTogether, *, now: datetime
) -> dict[int, Outcome]:
    """Keep checked requests, in three statements however many they are; say what became of each."""
    outcomes: dict[int, Outcome] = dict(checked.errors)
    members = [member for part in checked.tables for member in part.members]
    first: dict[str, SmallBatch] = {}
    for batch in members:
        first.setdefault(batch.batch_id, batch)
    if not first:
        return outcomes
    own = {"model_id": id_of(model), "kind": kind, "received_at": now}
    rows = [(one.batch_id, one.digest, len(one.rows)) for one in first.values()]
    number, fresh = feedback.insert_carried(session, own, rows)
    if number is not None:
        kept = {first[name].place for name in fresh}
        feedback.insert_body(session, number, id_of(model), _stream(checked.tables, kept))
    digests = {name: batch.digest for name, batch in first.items() if name in fresh}
    if taken := sorted(first.keys() - digests.keys()):
        digests.update(feedback.known_digests(session, id_of(model), kind, taken))
    for batch in members:
        duplicate = batch.batch_id not in fresh or batch is not first[batch.batch_id]
        outcomes[batch.place] = _outcome(batch, kind, digests[batch.batch_id], duplicate=duplicate)
    return outcomes


def _read(place: int, body: SmallBody) -> SmallBatch:
    known = body.document
    document = read_json(body.content) if known is None else rows_of_json(known)
    digest = digest_of(body.content)
    batch_id = checked_batch_id(body.batch_id or document.batch_id or digest)
    return SmallBatch(place, batch_id, digest, document.rows)


def _likeness(batch: SmallBatch) -> object:
    """Return the columns that a request names: of unlike ones, one might seem null, or to lack."""
    if len(batch.rows) == 1:
        return frozenset(batch.rows[0])
    return frozenset(name for row in batch.rows for name in row)


def _checked(
    members: Sequence[SmallBatch], rules: RowRules, errors: dict[int, RegistryError]
) -> list[CheckedTable]:
    """Check requests together; where that fails, each half of them, down to the one at fault."""
    alone = len(members) == 1
    if alone or all(member.rows for member in members):
        try:
            rows = [row for one in members for row in one.rows]
            table = checked_rows(table_of(rows, rules.schema), rules)
        except InvalidRowsError as error:
            if alone:
                errors[members[0].place] = error
                return []
        else:
            return [CheckedTable(members, table)]
    middle = len(members) // 2
    halves = (members[:middle], members[middle:])
    return [part for half in halves for part in _checked(half, rules, errors)]


def _stream(tables: Sequence[CheckedTable], kept: set[int]) -> bytes:
    """Return the rows of the requests that are kept as one Arrow stream."""
    parts = [_rows_of(part, kept) for part in tables]
    rows = pa.concat_tables(parts, promote_options="default").combine_chunks()
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    return stream.getvalue()


def _rows_of(part: CheckedTable, kept: set[int]) -> pa.Table:
    if all(member.place in kept for member in part.members):
        return part.table
    flags = [member.place in kept for member in part.members for _ in member.rows]
    return part.table.filter(pa.array(flags, pa.bool_()))


def _outcome(batch: SmallBatch, kind: Kind, known: str, *, duplicate: bool) -> Outcome:
    if known != batch.digest:
        return BatchConflictError(kind=kind, batch_id=batch.batch_id)
    return Accepted(batch.batch_id, len(batch.rows), duplicate=duplicate)
