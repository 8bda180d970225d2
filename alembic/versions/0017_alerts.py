"""Alerts, one for each cause; when somebody was told that the controller is silent.

`reading` gets an index by window: what watches looks at the readings of one window only.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    make_alerts()
    make_entries()
    op.create_index("ix_reading_window", "reading", ["model_id", "environment", "start"])
    op.add_column("leader", sa.Column("alarm_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("leader", sa.Column("alarmed_at", sa.DateTime(timezone=True), nullable=True))


def make_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("culprits", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("memory", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_alert_model_id_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_model_id"), "alert", ["model_id"])
    op.create_index(op.f("ix_alert_incident_id"), "alert", ["incident_id"])
    op.create_index(
        "uq_alert_cause",
        "alert",
        ["model_id", "environment", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'open')"),
    )
    op.create_index(
        "ix_alert_remind_at",
        "alert",
        ["remind_at"],
        postgresql_where=sa.text("state = 'open'"),
    )


def make_entries() -> None:
    op.create_table(
        "alert_entry",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column(
            "readings", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_entry_alert_id_alert")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_entry")),
    )
    op.create_index(op.f("ix_alert_entry_alert_id"), "alert_entry", ["alert_id"])


def downgrade() -> None:
    op.drop_column("leader", "alarmed_at")
    op.drop_column("leader", "alarm_until")
    op.drop_index("ix_reading_window", "reading")
    op.drop_table("alert_entry")
    op.drop_table("alert")
