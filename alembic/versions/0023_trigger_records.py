"""What was found at each look at a policy's triggers, and which other models a policy follows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trigger_record",
        sa.Column("policy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("readings", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy.id"], name=op.f("fk_trigger_record_policy_id_policy")
        ),
        sa.PrimaryKeyConstraint("policy_id", "moment", "trigger", name=op.f("pk_trigger_record")),
    )
    op.create_index(
        "ix_trigger_record_moment", "trigger_record", ["moment"], postgresql_using="brin"
    )
    op.create_table(
        "policy_upstream",
        sa.Column("state_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("woken", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["state_id"], ["policy_state.id"], name=op.f("fk_policy_upstream_state_id_policy_state")
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_policy_upstream_model_id_model")
        ),
        sa.PrimaryKeyConstraint("state_id", "source", name=op.f("pk_policy_upstream")),
    )


def downgrade() -> None:
    op.drop_table("policy_upstream")
    op.drop_table("trigger_record")
