"""Find the policies at once of which a firing waits for an open run or a freeze to end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_policy_state_waiting",
        "policy_state",
        ["id"],
        postgresql_where=sa.text("memory #>> '{waiting,why}' IN ('busy', 'frozen')"),
    )


def downgrade() -> None:
    op.drop_index("ix_policy_state_waiting", table_name="policy_state")
