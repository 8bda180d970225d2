"""What the training stage leaves beside the model, and what people write into a model's card."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

VERSION_COLUMNS = {
    "data": postgresql.JSONB(none_as_null=True),
    "trained_by": sa.String(),
    "duration_seconds": sa.Float(),
    "peak_memory_bytes": sa.BigInteger(),
    "stage_digest": sa.String(),
}


def upgrade() -> None:
    for name, kind in VERSION_COLUMNS.items():
        op.add_column("version", sa.Column(name, kind, nullable=True))
    op.create_foreign_key(
        "fk_version_stage_digest_manifest", "version", "manifest", ["stage_digest"], ["digest"]
    )
    op.create_table(
        "stage_file",
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "number", "name", name="pk_stage_file"),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["version.model_id", "version.number"],
            name="fk_stage_file_model_id_number_version",
        ),
    )
    op.create_table(
        "card_note",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_card_note"),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name="fk_card_note_model_id_model"),
    )
    op.create_index("ix_card_note_model_id", "card_note", ["model_id", "id"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON card_note "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_table("card_note")
    op.drop_table("stage_file")
    op.drop_constraint("fk_version_stage_digest_manifest", "version")
    for name in VERSION_COLUMNS:
        op.drop_column("version", name)
