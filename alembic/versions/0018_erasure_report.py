"""What an erasure did and could not reach, and the job that does it; jobs whose outcomes name rows.

An erasure that was asked for before finds its job by the number in the job's payload.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

FIND_JOBS = """
    UPDATE erasure SET job_id = (
        SELECT max(job.id) FROM job
        WHERE job.kind = 'erase' AND CAST(job.payload ->> 'erasure' AS bigint) = erasure.id)
"""


def upgrade() -> None:
    op.add_column("erasure", sa.Column("job_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "erasure",
        sa.Column(
            "report", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
    )
    op.execute(FIND_JOBS)
    op.create_index(
        "ix_job_names_rows",
        "job",
        ["kind", "id"],
        postgresql_where=sa.text("kind IN ('explain', 'parity', 'check')"),
    )


def downgrade() -> None:
    op.drop_index("ix_job_names_rows", "job")
    op.drop_column("erasure", "report")
    op.drop_column("erasure", "job_id")
