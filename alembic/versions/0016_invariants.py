"""Declared invariants of a model's rows, one row per change of the file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invariant_set",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_invariant_set_model_id_model")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invariant_set")),
        sa.UniqueConstraint(
            "model_id", "number", name=op.f("uq_invariant_set_model_id_number")
        ),
    )


def downgrade() -> None:
    op.drop_table("invariant_set")
