"""The audit log: one entry per change of state, hash-chained, in the change's own transaction.

What always holds: no entry, no change (both commit or neither); sequence numbers have no gaps and
follow the order of commits, because the head's row lock is taken last and held to the commit;
entries are never changed or deleted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, update
from sqlalchemy import select as select_columns
from sqlmodel import col, func, select

from mlreg.registry.domain.chain import Link, Verification, canonical_body, verify_chain
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.tables import METADATA, AuditEntry, AuditHead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession

PAGE = 1_000

_head = METADATA.tables["audit_head"]
_LOCK_HEAD = select_columns(_head.c.seq, _head.c.digest).with_for_update()
_entry = METADATA.tables["audit_entry"]
_MOVE_HEAD = update(_head).values(seq=bindparam("seq"), digest=bindparam("digest"))
_ADD = (
    insert(_entry)
    .values({column.name: bindparam(column.name, type_=column.type) for column in _entry.columns})
    .add_cte(_MOVE_HEAD.cte("moved"))
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to list; None is any."""

    action: str | None = None
    subject: str | None = None
    before: int | None = None
    limit: int = 100


def record(
    session: WriteSession,
    *,
    action: str,
    subject: str,
    actor: Actor,
    body: Mapping[str, object],
    now: datetime,
) -> int:
    """Append an entry and return its number; call it last, for it holds the head until commit.

    Raises:
        InvalidError: the body is not representable as canonical JSON.
    """
    content = canonical_body(body)
    session.flush()
    seq, digest = session.execute(_LOCK_HEAD).one()
    link = Link(seq + 1, now, actor.name, action, subject, content, digest)
    session.execute(_ADD, {**asdict(link), "digest": link.digest})
    failpoint("audit.recorded")
    return link.seq


def list_entries(session: ReadSession, wanted: AuditFilter) -> Sequence[AuditEntry]:
    """Return entries, newest first."""
    query = select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(wanted.limit)
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.subject is not None:
        query = query.where(AuditEntry.subject == wanted.subject)
    if wanted.before is not None:
        query = query.where(AuditEntry.seq < wanted.before)
    return session.exec(query).all()


def verify(session: ReadSession) -> Verification:
    """Walk the chain up to its present head and name the first entry that is not as written."""
    head = session.exec(select(AuditHead.seq, AuditHead.digest)).one()
    found = verify_chain(_links(session, head[0]), (head[0], head[1]))
    newest = select(func.coalesce(func.max(AuditEntry.seq), 0)).scalar_subquery()
    end, last = session.exec(select(AuditHead.seq, newest)).one()
    if found.first_bad is None and end != last:
        return replace(found, first_bad=min(end, last) + 1, reason="it is not below the head")
    return found


def _links(session: ReadSession, end: int) -> Iterator[tuple[Link, str]]:
    after = -1
    while True:
        query = select(AuditEntry).where(AuditEntry.seq > after, AuditEntry.seq <= end)
        page = session.exec(query.order_by(col(AuditEntry.seq)).limit(PAGE)).all()
        for row in page:
            yield _link(row), row.digest
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _link(row: AuditEntry) -> Link:
    return Link(
        row.seq, row.at, row.actor, row.action, row.subject, row.body, row.previous, row.format
    )
