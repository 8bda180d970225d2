"""The audit log: one entry per change of state, hash-chained, in the change's own transaction.

What always holds: no entry, no change (both commit or neither); sequence numbers have no gaps and
follow the order of commits, because the head's row lock is taken last, by what is sent together
with the COMMIT; entries are never changed or deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import col, func, select

from mlreg.registry.domain.chain import GENESIS, Link, Verification, canonical_body, verify_chain
from mlreg.registry.domain.checkpoints import RootsAt, contradiction, watched
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.tables import AuditEntry, AuditHead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.domain.checkpoints import Held
    from mlreg.registry.store.database import ReadSession, WriteSession

PAGE = 1_000

_APPEND = text("""
    WITH head AS (
        SELECT seq + 1 AS seq, digest AS previous FROM audit_head FOR UPDATE
    ), link AS (
        SELECT seq, previous, 'sha256:' || encode(sha256(convert_to(
            :first || previous || :second || seq || :third, 'UTF8'
        )), 'hex') AS digest FROM head
    ), moved AS (
        UPDATE audit_head SET seq = link.seq, digest = link.digest FROM link
    )
    INSERT INTO audit_entry
        (seq, format, at, actor, action, subject, body, previous, digest)
    SELECT seq, :format, :at, :actor, :action, :subject, :body, previous, digest FROM link
""")


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
) -> None:
    """Append an entry, at the end of the session's transaction.

    PostgreSQL finds the entry's place and hashes it there, in one statement that goes with the
    COMMIT: nobody holds the head while waiting for Python.

    Raises:
        InvalidError: the body is not representable as canonical JSON.
    """
    placeless = Link(0, now, actor.name, action, subject, canonical_body(body), GENESIS)
    first, second, third = placeless.around_its_place
    values = {
        "format": placeless.format,
        "at": now,
        "actor": actor.name,
        "action": action,
        "subject": subject,
        "body": placeless.body,
        "first": first,
        "second": second,
        "third": third,
    }
    session.at_end(_APPEND, values)
    failpoint("audit.recorded")


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


def verify(session: ReadSession, held: Sequence[Held] = ()) -> Verification:
    """Walk the chain up to its present head and name the first entry that is not as written.

    Args:
        session: sees the whole log.
        held: roots of checkpoints that somebody holds against the log.
    """
    head = session.exec(select(AuditHead.seq, AuditHead.digest)).one()
    roots = RootsAt(one.size for one in held)
    links = watched(list_links(session, 0, head[0]), roots)
    found = verify_chain(links, (head[0], head[1]))
    found = replace(found, checkpoints=len(held))
    first, reason = contradiction(held, roots.roots, found.entries)
    if first and (found.first_bad is None or first < found.first_bad):
        return replace(found, first_bad=first, reason=reason)
    newest = select(func.coalesce(func.max(AuditEntry.seq), 0)).scalar_subquery()
    end, last = session.exec(select(AuditHead.seq, newest)).one()
    if found.first_bad is None and end != last:
        return replace(found, first_bad=min(end, last) + 1, reason="it is not below the head")
    return found


def list_links(session: ReadSession, after: int, end: int) -> Iterator[tuple[Link, str]]:
    """Yield the entries after one up to another, each with its stored digest, page by page."""
    after = after or -1
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
