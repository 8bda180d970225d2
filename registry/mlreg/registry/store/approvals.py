"""Queries of approvals and of the promotes that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, true
from sqlalchemy import select as select_columns
from sqlmodel import col, select, update

from mlreg.registry.store.present import JUDGED, REIGN, WANTED
from mlreg.registry.store.tables import METADATA, Approval, ApprovalRequest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

_deployment = METADATA.tables["deployment"]
_BINDINGS = (
    select_columns(WANTED.c.number, WANTED.c.manifest_digest, JUDGED.c.id, REIGN)
    .select_from(_deployment)
    .join(WANTED, WANTED.c.model_id == _deployment.c.model_id)
    .outerjoin(JUDGED, true())
    .where(
        _deployment.c.id == bindparam("deployment_id"),
        WANTED.c.number.in_(bindparam("versions", expanding=True)),
        WANTED.c.deleted_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a word is about: these bytes, this decision, this champion's reign."""

    manifest_digest: str
    decision_id: int | None
    reign: int


def binding_of(row: Approval | ApprovalRequest) -> Binding:
    """Return what a word or a request was about when it came."""
    return Binding(row.manifest_digest, row.decision_id, row.reign)


def list_bindings(
    session: ReadSession, deployment_id: int, versions: Collection[int]
) -> dict[int, Binding]:
    """Return what a word on each of these versions would be about now."""
    found = session.execute(
        _BINDINGS, {"deployment_id": deployment_id, "versions": sorted(versions)}
    )
    return {number: Binding(*binding) for number, *binding in found}


def find_standing(
    session: ReadSession, deployment_id: int, version: int, approver: str
) -> Approval | None:
    """Return the word of an approver on a version that was not withdrawn, or None."""
    return session.exec(
        select(Approval).where(
            Approval.deployment_id == deployment_id,
            Approval.version == version,
            Approval.approver == approver,
            col(Approval.withdrawn_at).is_(None),
        )
    ).one_or_none()


def lock_approval(session: WriteSession, deployment_id: int, number: int) -> Approval | None:
    """Lock a word, withdrawn or not."""
    return session.exec(
        select(Approval)
        .where(Approval.id == number, Approval.deployment_id == deployment_id)
        .with_for_update()
    ).one_or_none()


def add(session: WriteSession, row: Approval | ApprovalRequest) -> None:
    """Write a word or a request."""
    session.add(row)
    session.flush()


def withdraw(session: WriteSession, row: Approval, *, by: str, reason: str, now: datetime) -> None:
    """Take a word back."""
    row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason = now, by, reason
    add(session, row)


def list_approvals(
    session: ReadSession, deployment_id: int, *, before: int | None, limit: int
) -> list[Approval]:
    """Return words of a deployment, newest first."""
    query = select(Approval).where(Approval.deployment_id == deployment_id)
    if before is not None:
        query = query.where(col(Approval.id) < before)
    return list(session.exec(query.order_by(col(Approval.id).desc()).limit(limit)))


def list_waiting(session: ReadSession, deployment_id: int) -> list[ApprovalRequest]:
    """Return the promotes of a deployment that wait, oldest first."""
    query = select(ApprovalRequest).where(
        ApprovalRequest.deployment_id == deployment_id, col(ApprovalRequest.ended_at).is_(None)
    )
    return list(session.exec(query.order_by(col(ApprovalRequest.id))))


def find_waiting(session: ReadSession, deployment_id: int, version: int) -> ApprovalRequest | None:
    """Return the promote of a version that waits, or None."""
    return session.exec(
        select(ApprovalRequest).where(
            ApprovalRequest.deployment_id == deployment_id,
            ApprovalRequest.version == version,
            col(ApprovalRequest.ended_at).is_(None),
        )
    ).one_or_none()


def end_waiting(
    session: WriteSession,
    deployment_id: int,
    *,
    version: int | None = None,
    cause: str | None = None,
    outcome: str,
    now: datetime,
) -> None:
    """End the promotes of a deployment that wait: of a version, of a cause, or all (None)."""
    ended = update(ApprovalRequest).where(
        col(ApprovalRequest.deployment_id) == deployment_id,
        col(ApprovalRequest.ended_at).is_(None),
    )
    if version is not None:
        ended = ended.where(col(ApprovalRequest.version) == version)
    if cause is not None:
        ended = ended.where(col(ApprovalRequest.cause) == cause)
    session.execute(ended.values(ended_at=now, outcome=outcome))
