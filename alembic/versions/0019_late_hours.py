"""Hours of the past that rows came for, until their windows are read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "late_hour",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_late_hour_model_id_model")
        ),
        sa.PrimaryKeyConstraint("model_id", "environment", "start", name=op.f("pk_late_hour")),
    )


def downgrade() -> None:
    op.drop_table("late_hour")
