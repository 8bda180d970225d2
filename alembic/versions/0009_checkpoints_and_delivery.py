"""Signed checkpoints of the audit log, webhooks with the order of delivery, and chores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("webhook_delivery", "webhook", "outbox_head", "checkpoint", "chore")


def upgrade() -> None:
    make_tables()
    make_webhooks()
    order_messages()
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def make_tables() -> None:
    op.create_table(
        "chore",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("hashes", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
    )


def make_webhooks() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("topics", postgresql.JSONB(), nullable=False),
        sa.Column("models", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_outcome", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("name", name=op.f("uq_webhook_name")),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhook.id"],
            name=op.f("fk_webhook_delivery_webhook_id_webhook"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index(op.f("ix_webhook_delivery_at"), "webhook_delivery", ["at"])
    op.create_index("ix_webhook_delivery_webhook_id", "webhook_delivery", ["webhook_id", "id"])


def order_messages() -> None:
    """Give the events that are there their places, in the order in which they were counted."""
    op.add_column("outbox_message", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE outbox_message SET seq = placed.seq FROM"
        " (SELECT id, row_number() OVER (ORDER BY id) AS seq FROM outbox_message) AS placed"
        " WHERE placed.id = outbox_message.id"
    )
    op.create_unique_constraint(op.f("uq_outbox_message_seq"), "outbox_message", ["seq"])
    op.create_index(
        "ix_outbox_message_unordered",
        "outbox_message",
        ["id"],
        postgresql_where=sa.text("seq IS NULL"),
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_outbox_head_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_head")),
    )
    op.execute(
        "INSERT INTO outbox_head (id, seq)"
        " SELECT 1, coalesce(max(seq), 0) FROM outbox_message"
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_message_unordered", "outbox_message")
    op.drop_constraint(op.f("uq_outbox_message_seq"), "outbox_message")
    op.drop_column("outbox_message", "seq")
    for table in TABLES:
        op.drop_table(table)
