"""Deployments over the wire: changes, states, revisions, acknowledgements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from mlreg.client.wire.base import Answer, Count, Name, ReasonText, Request, VersionNumber


class ChangeRequest(Request):
    """What every change of a deployment says; `dry_run` only asks what would happen."""

    reason: ReasonText = ""
    dry_run: bool = False


class PromoteRequest(ChangeRequest):
    """Make a version the champion.

    `force` skips the gate, `break_glass` the approvals; both need a reason.
    """

    version: VersionNumber
    force: bool = False
    break_glass: bool = False


class RollbackRequest(ChangeRequest):
    """Return to a former champion: the last good one, or the one named."""

    to: VersionNumber | None = None


class FallbackRequest(ChangeRequest):
    """Serve a declared fallback instead of the champion; None ends it."""

    fallback: ReasonText | None


class LiftBarRequest(Request):
    """Let a version that a guard took down be promoted again."""

    version: VersionNumber
    reason: ReasonText = ""


class LiftBarAnswer(Answer):
    """A version that may be promoted again."""

    model: str
    environment: str
    version: int


class AcknowledgeRequest(Request):
    """Which revision a client serves now."""

    client: Name
    revision: Count


class DeploymentAnswer(Answer):
    """What serves a model in an environment, as of one revision."""

    model: str
    environment: str
    incarnation: str
    revision: int
    champion: int | None
    champion_digest: str | None
    candidates: list[dict[str, Any]]
    fallback: str | None
    frozen: bool
    cooldown_until: datetime | None
    approvals_required: int = 0
    at: datetime

    @property
    def etag(self) -> str:
        """The entity tag that a change sends as If-Match."""
        return f'"{self.incarnation}-{self.revision}"'


class ChangeAnswer(DeploymentAnswer):
    """A deployment after a change, or as it would be (`dry_run`)."""

    previous: int | None = Field(description="the champion before the change")
    changed: bool = True
    dry_run: bool = False
    approvers: tuple[str, ...] = Field(
        default=(), description="whose approval the promote stood on"
    )
    broke_glass: bool = Field(
        default=False, description="it went without the approvals that it needs"
    )
    notes: tuple[str, ...] = ()


class RevisionAnswer(Answer):
    """One change of a deployment."""

    number: int
    champion: int | None
    cause: str
    actor: str
    reason: str
    forced: bool
    approvers: tuple[str, ...] = ()
    broke_glass: bool = False
    frozen: bool
    fallback: str | None
    decision: int | None
    ended_by_rollback: bool
    at: datetime


class ClientAnswer(Answer):
    """A serving process, and whether it serves the newest revision."""

    client: str
    revision: int
    behind: int
    at: datetime


class StatusAnswer(DeploymentAnswer):
    """A deployment with who serves it and what is wrong with it.

    `controller` says how the controller is: `ticking`, `silent since …`, or `unknown`.
    """

    frozen_reason: str | None = None
    barred: tuple[int, ...] = ()
    clients: tuple[ClientAnswer, ...] = ()
    open_incidents: int = 0
    open_alerts: int = 0
    controller: str = ""
