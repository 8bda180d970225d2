"""Routes of the audit log: list and verify."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query

from mlreg.client.wire.audit import AuditAnswer, VerificationAnswer
from mlreg.client.wire.base import Page
from mlreg.registry.api.checkpoints import parse_held
from mlreg.registry.api.context import Reading
from mlreg.registry.api.paging import Cursor, PageRequest
from mlreg.registry.api.permission import may
from mlreg.registry.services import audit
from mlreg.registry.services.audit import AuditFilter
from mlreg.registry.store.tables import AuditEntry

router = APIRouter(prefix="/audit", tags=["audit"])
MAX_LIMIT = 1_000


@router.get("", dependencies=[may("audit.read")])
def list_entries(
    reading: Reading,
    action: str | None = None,
    subject: str | None = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> Page[AuditAnswer]:
    """List entries, newest first."""
    before = PageRequest(cursor, limit).below(before)
    with reading() as session:
        found = audit.list_entries(session, AuditFilter(action, subject, before, limit))
    last = found[-1].seq if len(found) == limit else 1
    return Page(items=[_answer(entry) for entry in found], next=str(last) if last > 1 else None)


@router.get("/verification", dependencies=[may("audit.read")])
def verify(
    reading: Reading,
    held: Annotated[str, Query(max_length=8_000, description="`size:root,size:root` …")] = "",
) -> VerificationAnswer:
    """Walk the hash chain, hold checkpoints against it, and name the first bad entry."""
    against = parse_held(held)
    with reading() as session:
        found = audit.verify(session, against)
    return VerificationAnswer.model_validate(found, from_attributes=True)


def _answer(entry: AuditEntry) -> AuditAnswer:
    return AuditAnswer(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        body=json.loads(entry.body),
        previous=entry.previous,
        digest=entry.digest,
    )
