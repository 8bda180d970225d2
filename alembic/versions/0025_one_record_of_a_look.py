"""One record of each look at a policy's triggers, with what was found of all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None

_TOGETHER = """
    INSERT INTO trigger_record (policy_id, moment, found)
    SELECT policy_id, moment, jsonb_agg(
        jsonb_build_object('trigger', trigger, 'holds', holds, 'because', because,
                           'missing', missing, 'readings', readings)
        ORDER BY trigger)
    FROM trigger_record_before GROUP BY policy_id, moment
"""
_APART = """
    INSERT INTO trigger_record (policy_id, moment, trigger, holds, because, missing, readings)
    SELECT before.policy_id, before.moment, one.*
    FROM trigger_record_before AS before
    CROSS JOIN LATERAL jsonb_to_recordset(before.found) AS one (
        trigger text, holds bool, because text, missing text, readings jsonb)
"""


def upgrade() -> None:
    _set_aside()
    _create(sa.Column("found", postgresql.JSONB(), nullable=False), key=("policy_id", "moment"))
    op.execute(_TOGETHER)
    op.drop_table("trigger_record_before")


def downgrade() -> None:
    _set_aside()
    _create(
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("readings", postgresql.JSONB(), nullable=False),
        key=("policy_id", "moment", "trigger"),
    )
    op.execute(_APART)
    op.drop_table("trigger_record_before")


def _set_aside() -> None:
    """Free the table's name and those of its constraints."""
    op.drop_index("ix_trigger_record_moment", table_name="trigger_record")
    op.drop_constraint(op.f("fk_trigger_record_policy_id_policy"), "trigger_record")
    op.drop_constraint(op.f("pk_trigger_record"), "trigger_record")
    op.rename_table("trigger_record", "trigger_record_before")


def _create(*columns: sa.Column[object], key: tuple[str, ...]) -> None:
    op.create_table(
        "trigger_record",
        sa.Column("policy_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy.id"], name=op.f("fk_trigger_record_policy_id_policy")
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_trigger_record")),
    )
    op.create_index(
        "ix_trigger_record_moment", "trigger_record", ["moment"], postgresql_using="brin"
    )
