"""Archived and deleted models and versions, what a scrub found, and imports.

A deleted row stays: `purged_at` says when its bytes lost their last claim to be kept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MODEL = (
    ("archived_by", sa.String()),
    ("deleted_at", sa.DateTime(timezone=True)),
    ("deleted_by", sa.String()),
    ("deleted_reason", sa.String()),
)
_VERSION = (
    ("archived_at", sa.DateTime(timezone=True)),
    ("archived_by", sa.String()),
    ("archived_reason", sa.String()),
    ("deleted_at", sa.DateTime(timezone=True)),
    ("deleted_by", sa.String()),
    ("deleted_reason", sa.String()),
    ("purged_at", sa.DateTime(timezone=True)),
    ("imported_from", postgresql.JSONB(none_as_null=True)),
    ("import_digest", sa.String()),
)
_BLOB = (
    ("corrupt_at", sa.DateTime(timezone=True)),
    ("fault", sa.String()),
    ("quarantine", sa.String()),
)
_ADDED = (("model", _MODEL), ("version", _VERSION), ("blob", _BLOB))


def upgrade() -> None:
    for table, columns in _ADDED:
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.add_column(
        "model",
        sa.Column("allows_unsafe", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "ix_version_import",
        "version",
        ["model_id", "import_digest"],
        postgresql_where=sa.text("import_digest IS NOT NULL"),
    )
    op.create_index(
        "ix_version_deleted",
        "version",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL AND purged_at IS NULL"),
    )
    op.create_index(
        "ix_version_hidden",
        "version",
        ["model_id", "number"],
        postgresql_where=sa.text("archived_at IS NOT NULL OR deleted_at IS NOT NULL"),
    )
    op.create_index("ix_version_manifest_digest", "version", ["manifest_digest"])
    op.create_index("ix_blob_state_verified_at", "blob", ["state", "verified_at"])
    op.create_index("ix_blob_reference_kind_owner", "blob_reference", ["kind", "owner"])


def downgrade() -> None:
    op.drop_index("ix_blob_reference_kind_owner", table_name="blob_reference")
    op.drop_index("ix_blob_state_verified_at", table_name="blob")
    op.drop_index("ix_version_manifest_digest", table_name="version")
    op.drop_index("ix_version_hidden", table_name="version")
    op.drop_index("ix_version_deleted", table_name="version")
    op.drop_index("ix_version_import", table_name="version")
    op.drop_column("model", "allows_unsafe")
    for table, columns in reversed(_ADDED):
        for name, _ in reversed(columns):
            op.drop_column(table, name)
