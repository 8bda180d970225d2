"""The audit log over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlreg.client.wire.base import Answer


class AuditAnswer(Answer):
    """One entry of the audit log, with its place in the hash chain."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    body: dict[str, Any]
    previous: str
    digest: str


class VerificationAnswer(Answer):
    """What a walk along the chain found; `first_bad` is None when all is well."""

    entries: int
    head: str
    first_bad: int | None
    reason: str
    checkpoints: int = 0


class CheckpointAnswer(Answer):
    """What the audit log was when it had `size` entries, as it was signed.

    `note` is a C2SP tlog-checkpoint; `verifier` the key in the form of C2SP signed-note, as this
    server says it is.
    """

    size: int
    origin: str
    root: str
    note: str
    verifier: str
    at: datetime
