"""Volume: requests that share waiting bytes, retention of the log, entities erased from it.

`batch.carrier` is None for every batch that was there before, and for those of an API of the version
before, which reads the bytes of each batch under its own number as ever.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("carrier", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_batch_carried",
        "batch",
        ["carrier"],
        postgresql_where=sa.text("segment IS NULL AND carrier IS NOT NULL"),
    )
    op.create_table(
        "retention",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_retention_model_id_model")),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_retention")),
    )
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("entity_digest", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("predictions", sa.BigInteger(), nullable=True),
        sa.Column("labels", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_erasure_model_id_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
    )
    op.create_index(op.f("ix_erasure_model_id"), "erasure", ["model_id"])
    op.create_table(
        "lost_segment",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("erasure_id", sa.BigInteger(), nullable=True),
        sa.Column("replaced_by", sa.String(), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasure.id"], name=op.f("fk_lost_segment_erasure_id_erasure")
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_lost_segment_model_id_model")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_lost_segment")),
    )
    op.create_index(op.f("ix_lost_segment_model_id"), "lost_segment", ["model_id"])


def downgrade() -> None:
    op.drop_table("lost_segment")
    op.drop_table("erasure")
    op.drop_table("retention")
    # Requests that share bytes are unknown to the version before: their rows would wait for ever,
    # so it must be drained first, as docs/how-to/keep-the-log.md says.
    op.execute(
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM batch WHERE segment IS NULL AND carrier IS NOT NULL)"
        " THEN RAISE EXCEPTION 'drain the feedback log first: some of its batches share their bytes';"
        " END IF; END $$"
    )
    op.drop_index("ix_batch_carried", table_name="batch")
    op.drop_column("batch", "carrier")
