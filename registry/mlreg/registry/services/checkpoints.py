"""Signing what the audit log is, so that later nobody can say that it was something else.

What always holds: nothing is signed that contradicts the newest checkpoint outside the database;
new entries are verified before they are signed; a checkpoint goes on from the one before it, so
its cost is that of the new entries, however long the log is.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mlreg.registry.domain.chain import GENESIS, verify_chain
from mlreg.registry.domain.checkpoints import (
    Checkpoint,
    Held,
    RootsAt,
    contradiction,
    parse_checkpoint,
    plain_hashes,
    range_of,
    watched,
)
from mlreg.registry.domain.errors import IntegrityError
from mlreg.registry.domain.merkle import Range
from mlreg.registry.domain.notes import NoteError, parse_note
from mlreg.registry.services.audit import list_links
from mlreg.registry.store import checkpoints as rows
from mlreg.registry.store.checkpoints import NewCheckpoint

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.note_keys import SignerKey
    from mlreg.registry.domain.notes import Note
    from mlreg.registry.store import tables
    from mlreg.registry.store.database import ReadSession, WriteSession


class AuditBrokenError(IntegrityError):
    """The audit log is not what it was."""

    code = "audit_broken"
    hint = "Somebody changed the log outside of mlreg; compare it with a backup and checkpoints."

    def __init__(self, *, seq: int, reason: str) -> None:
        self.seq = seq
        self.reason = reason
        super().__init__(f"audit entry {seq} is bad: {reason}")


def next_checkpoint(
    session: ReadSession, key: SignerKey, kept: Note | None, *, now: datetime
) -> NewCheckpoint | None:
    """Return the signed checkpoint of the log as it is; None when the newest says all of it.

    Args:
        session: sees the whole log.
        key: signs it.
        kept: the newest checkpoint outside the database.
        now: real time.

    Raises:
        AuditBrokenError: a new entry is bad, or the log contradicts `kept`.
    """
    end, digest = rows.head_of_log(session)
    origin = f"mlreg/{rows.incarnation(session)}"
    start = _start(session, key, origin, kept)
    if start.size == end:
        return None
    tree = _grown(session, start, (end, digest))
    checkpoint = Checkpoint(origin, tree.size, tree.root)
    return NewCheckpoint(
        size=tree.size,
        origin=origin,
        root=base64.b64encode(tree.root).decode(),
        note=str(key.sign(checkpoint.text)),
        verifier=str(key.verifier),
        hashes=plain_hashes(tree),
        at=now,
    )


def add_checkpoint(session: WriteSession, checkpoint: NewCheckpoint) -> None:
    """Keep a checkpoint where it can be handed out."""
    rows.add(session, checkpoint)


def find_newest(session: ReadSession) -> tables.Checkpoint | None:
    """Return the newest checkpoint that can be handed out; None before the first."""
    return rows.find_newest(session)


def held_by(note: Note) -> Held:
    """Return what a checkpoint holds against the log.

    Raises:
        NoteError: the note is of something else.
    """
    checkpoint = parse_checkpoint(note)
    return Held(checkpoint.size, checkpoint.root)


def _start(session: ReadSession, key: SignerKey, origin: str, kept: Note | None) -> Range:
    """Return the range from which to go on, as far as it is beyond doubt."""
    if kept is not None and key.verifier.signed(kept) and parse_checkpoint(kept).origin == origin:
        return _range_of(session, key, held_by(kept))
    return _trusted(rows.find_newest(session), key) or Range()


def _range_of(session: ReadSession, key: SignerKey, held: Held) -> Range:
    """Return the range of a checkpoint that was kept outside, or raise if it never was ours."""
    found = _trusted(rows.find_of_size(session, held.size), key)
    if found is not None and found.root == held.root:
        return found
    roots = RootsAt([held.size])
    entries = 0
    for link, stored in list_links(session, 0, held.size):
        roots.add(stored)
        entries = link.seq
    first, reason = contradiction([held], roots.roots, entries)
    if first:
        raise AuditBrokenError(seq=first, reason=reason)
    return roots.tree


def _trusted(row: tables.Checkpoint | None, key: SignerKey) -> Range | None:
    """Return the range of a stored checkpoint if this key signed it and it fits what it says."""
    if row is None:
        return None
    try:
        note = parse_note(row.note)
        held, tree = held_by(note), range_of(row.size, row.hashes)
    except (NoteError, ValueError):
        return None
    fits = (tree.size, tree.root) == (held.size, held.root)
    return tree if fits and key.verifier.signed(note) else None


def _grown(session: ReadSession, start: Range, head: tuple[int, str]) -> Range:
    """Verify the entries after a range, and return the range with them."""
    before = rows.digest_of_entry(session, start.size) if start.size else GENESIS
    if before is None:
        raise AuditBrokenError(seq=start.size, reason="it was signed, and is gone")
    roots = RootsAt([head[0]], start)
    links = watched(list_links(session, start.size, head[0]), roots)
    found = verify_chain(links, head, (start.size, before))
    if found.first_bad is not None:
        raise AuditBrokenError(seq=found.first_bad, reason=found.reason)
    return roots.tree
