"""Readings with intervals and verdicts, the delay of labels, series of business metrics.

New columns of `reading` are optional, so that a controller of the version before goes on writing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reading", sa.Column("low", sa.Float(), nullable=True))
    op.add_column("reading", sa.Column("high", sa.Float(), nullable=True))
    op.add_column("reading", sa.Column("verdict", sa.String(), nullable=True))
    make_label_profiles()
    make_loss_models()
    make_business_values()


def make_label_profiles() -> None:
    """What the labels of a window say, small enough to be merged: delays, outcomes by score."""
    op.create_table(
        "label_profile",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("labels_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_label_profile_model_id_model")
        ),
        sa.PrimaryKeyConstraint(
            "model_id", "environment", "start", name=op.f("pk_label_profile")
        ),
    )


def make_loss_models() -> None:
    """What is expected of the errors of a contract's models, by what its profiles show."""
    op.create_table(
        "loss_model",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("contract", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_loss_model_model_id_model")
        ),
        sa.PrimaryKeyConstraint(
            "model_id", "environment", "contract", name=op.f("pk_loss_model")
        ),
    )


def make_business_values() -> None:
    """Series that a user posts, one row per value."""
    op.create_table(
        "business_value",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_business_value_model_id_model")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_business_value")),
        sa.UniqueConstraint(
            "model_id",
            "environment",
            "name",
            "key",
            name=op.f("uq_business_value_model_id_environment_name_key"),
        ),
    )
    op.create_index("ix_business_value_at", "business_value", ["model_id", "environment", "at"])


def downgrade() -> None:
    op.drop_table("business_value")
    op.drop_table("loss_model")
    op.drop_table("label_profile")
    op.drop_column("reading", "verdict")
    op.drop_column("reading", "high")
    op.drop_column("reading", "low")
