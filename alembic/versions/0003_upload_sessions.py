"""Uploads that can be resumed, who brought which bytes, and signatures with the keys they need."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_session",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("parts", postgresql.JSONB(), nullable=False),
        sa.Column("multipart", sa.String(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("busy_by", sa.String(), nullable=True),
        sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_session")),
    )
    op.create_index(op.f("ix_upload_session_expires_at"), "upload_session", ["expires_at"])
    op.create_table(
        "blob_receipt",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", "owner", name=op.f("pk_blob_receipt")),
    )
    op.create_index(op.f("ix_blob_receipt_at"), "blob_receipt", ["at"])
    op.create_table(
        "signing_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("models", postgresql.JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "version_signature",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["signing_key.id"],
            name=op.f("fk_version_signature_key_id_signing_key"),
        ),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["version.model_id", "version.number"],
            name=op.f("fk_version_signature_model_id_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_signature")),
    )
    op.create_index("ix_version_signature_version", "version_signature", ["model_id", "number"])
    op.add_column(
        "model",
        sa.Column("requires_signature", sa.Boolean(), server_default="false", nullable=False),
    )


def downgrade() -> None:
    refuse_if_protected()
    op.drop_column("model", "requires_signature")
    op.drop_table("version_signature")
    op.drop_table("signing_key")
    op.drop_table("blob_receipt")
    op.drop_table("upload_session")


def refuse_if_protected() -> None:
    """A model that asks for signatures would take unsigned versions from then on, and not say so."""
    asking = op.get_bind().execute(
        sa.text("SELECT name FROM model WHERE requires_signature ORDER BY name")
    )
    if names := list(asking.scalars()):
        raise CommandError(
            f"this downgrade would forget that these models ask for signatures: {', '.join(names)};"
            " end that first, by POST /api/v1/models/MODEL/require-signatures, which is audited"
        )
