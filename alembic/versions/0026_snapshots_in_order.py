"""Number the snapshots of a model as they come, for policies that follow them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_NUMBER = """
    UPDATE snapshot SET serial = numbered.serial FROM (
        SELECT digest, row_number() OVER (PARTITION BY model_id ORDER BY created_at, digest)
            AS serial FROM snapshot) AS numbered
    WHERE numbered.digest = snapshot.digest
"""
_COUNT = """
    INSERT INTO snapshot_count (model_id, last)
    SELECT model_id, count(*) FROM snapshot GROUP BY model_id
"""


def upgrade() -> None:
    op.create_table(
        "snapshot_count",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_snapshot_count_model_id_model")
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_snapshot_count")),
    )
    op.add_column("snapshot", sa.Column("serial", sa.BigInteger(), nullable=True))
    op.execute(_NUMBER)
    op.execute(_COUNT)
    op.alter_column("snapshot", "serial", nullable=False)


def downgrade() -> None:
    op.drop_column("snapshot", "serial")
    op.drop_table("snapshot_count")
