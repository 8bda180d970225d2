"""Approvals over the wire: how many, whose, for what, and which promotes wait for them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from mlreg.client.wire.base import Answer, Count, Page, ReasonText, Request, VersionNumber
from mlreg.client.wire.deployments import ChangeRequest

Verdict = Literal["approved", "rejected"]


class ProtectRequest(ChangeRequest):
    """How many approvals every promote to a deployment needs; 0 is none."""

    approvals: Annotated[int, Field(ge=0, le=10, examples=[2])]


class OpinionRequest(Request):
    """What an approver says of a version; `decision` is the one that they looked at, if any."""

    version: VersionNumber = Field(examples=[12])
    verdict: Verdict = "approved"
    decision: Count | None = None
    reason: ReasonText = ""


class WithdrawRequest(Request):
    """Take a word back."""

    reason: ReasonText = ""


class ApprovalRequest(Request):
    """Have the promote of a version wait for its approvals."""

    version: VersionNumber = Field(examples=[12])
    reason: ReasonText = ""


class ApprovalAnswer(Answer):
    """One approver's word; `holds` says that it is about what is now, and was not withdrawn."""

    number: int
    model: str
    environment: str
    version: int
    verdict: Verdict
    approver: str
    reason: str
    decision: int | None
    at: datetime
    holds: bool
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


class GivenAnswer(ApprovalAnswer):
    """A word, how many approvals the version has now, and the revision that it brought, if any."""

    approvals: int
    approvals_required: int
    promoted: int | None = None
    notes: tuple[str, ...] = ()


class WaitingAnswer(Answer):
    """A promote that waits; `holds` says that its approvals can still come."""

    version: int
    cause: str
    requester: str
    reason: str
    decision: int | None
    at: datetime
    holds: bool
    approvers: tuple[str, ...]
    objectors: tuple[str, ...]


class ApprovalsAnswer(Page[ApprovalAnswer]):
    """A page of words, newest first; what a promote needs; and all that wait."""

    approvals_required: int
    waiting: list[WaitingAnswer]
