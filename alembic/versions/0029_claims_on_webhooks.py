"""Claim a webhook while events are sent to it, that no two processes send at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook", sa.Column("claim", sa.String(), nullable=True))
    op.add_column("webhook", sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("webhook", "claimed_until")
    op.drop_column("webhook", "claim")
