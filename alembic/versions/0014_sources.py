"""Sources beside the feedback log: the digests of files that were hashed, by URL and state.

What is in the table only saves work: the downgrade forgets it, and the next freeze hashes anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_file",
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_source_file")),
    )


def downgrade() -> None:
    op.drop_table("source_file")
