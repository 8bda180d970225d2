"""Profiles of days and weeks, rolled up from their hours; the labels that a version was trained on.

Nothing is rolled up here: a day or week that was logged before is made of its hours when it is first
asked for, or first added to. References that were there before come of a training, and say nothing
about labels.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rolled_profile",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contract", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("width", sa.String(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_rolled_profile_model_id_model")
        ),
        sa.PrimaryKeyConstraint(
            "model_id", "contract", "version", "width", "start", name=op.f("pk_rolled_profile")
        ),
    )
    op.add_column(
        "reference_profile",
        sa.Column("source", sa.String(), nullable=False, server_default="training"),
    )
    op.alter_column("reference_profile", "source", server_default=None)
    op.add_column("reference_profile", sa.Column("labels", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("reference_profile", "labels")
    op.drop_column("reference_profile", "source")
    op.drop_table("rolled_profile")
