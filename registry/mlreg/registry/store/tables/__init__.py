"""The registry's tables.

What always holds:

- a `version` row exists only if every blob of its manifest is `verified`;
- `version.number` counts up per model and is never reused (`model.last_version` is the counter);
- `revision` and `audit_entry` rows are only ever inserted;
- `deployment.revision` is the number of its newest `revision` row, and changes only with it;
- `audit_head` is locked last in every transaction that writes an audit entry.
"""

from __future__ import annotations

from mlreg.registry.store.columns import METADATA
from mlreg.registry.store.tables.access import ModelGrant, OidcIssuer, OidcJti, Token
from mlreg.registry.store.tables.artifacts import (
    Blob,
    BlobReceipt,
    BlobReference,
    Manifest,
    SigningKey,
    UploadSession,
    VersionSignature,
)
from mlreg.registry.store.tables.audit import AuditEntry, AuditHead, Checkpoint
from mlreg.registry.store.tables.catalog import Environment, Installation, Model, Version
from mlreg.registry.store.tables.delivery import (
    IdempotencyKey,
    OutboxHead,
    OutboxMessage,
    Webhook,
    WebhookDelivery,
)
from mlreg.registry.store.tables.deployments import (
    Acknowledgement,
    Approval,
    ApprovalRequest,
    Decision,
    Deployment,
    Revision,
    VersionBar,
)
from mlreg.registry.store.tables.provenance import (
    Attestation,
    CardNote,
    Contract,
    LineageEdge,
    StageFile,
)
from mlreg.registry.store.tables.search import (
    SearchMember,
    SearchNumber,
    SearchSet,
    SearchText,
    SearchVersion,
)

__all__ = [
    "METADATA",
    "Acknowledgement",
    "Approval",
    "ApprovalRequest",
    "Attestation",
    "AuditEntry",
    "AuditHead",
    "Blob",
    "BlobReceipt",
    "BlobReference",
    "CardNote",
    "Checkpoint",
    "Contract",
    "Decision",
    "Deployment",
    "Environment",
    "IdempotencyKey",
    "Installation",
    "LineageEdge",
    "Manifest",
    "Model",
    "ModelGrant",
    "OidcIssuer",
    "OidcJti",
    "OutboxHead",
    "OutboxMessage",
    "Revision",
    "SearchMember",
    "SearchNumber",
    "SearchSet",
    "SearchText",
    "SearchVersion",
    "SigningKey",
    "StageFile",
    "Token",
    "UploadSession",
    "Version",
    "VersionBar",
    "VersionSignature",
    "Webhook",
    "WebhookDelivery",
]
