"""Attestations, lineage that knows whose it is and what was exported, and history by time.

The arrows that nobody wrote before are drawn from the records: segments of snapshots, the rows of
runs, the versions and decisions behind revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SEGMENTS = """
    INSERT INTO lineage_edge (source_kind, source, target_kind, target, model_id, created_at)
    SELECT 'segment', segment.digest, 'snapshot', snapshot.digest, snapshot.model_id,
           snapshot.created_at
    FROM snapshot, LATERAL (
        SELECT jsonb_array_elements_text(
            (snapshot.body::jsonb -> 'predictions') || (snapshot.body::jsonb -> 'labels')
        ) AS digest
    ) AS segment
    ON CONFLICT DO NOTHING
"""
RUNS = """
    INSERT INTO lineage_edge (source_kind, source, target_kind, target, model_id, created_at)
    SELECT 'snapshot', snapshot, 'run', id::text, model_id, created_at
    FROM run WHERE snapshot IS NOT NULL
    ON CONFLICT DO NOTHING
"""
REVISIONS = """
    INSERT INTO lineage_edge (source_kind, source, target_kind, target, model_id, created_at)
    SELECT source.kind, source.name, 'revision',
           model.name || ':' || deployment.environment || '/' || revision.number,
           model.id, revision.at
    FROM revision
    JOIN deployment ON deployment.id = revision.deployment_id
    JOIN model ON model.id = deployment.model_id,
    LATERAL (
        VALUES ('version', model.name || '/' || revision.champion),
               ('decision', revision.decision_id::text)
    ) AS source (kind, name)
    WHERE source.name IS NOT NULL
      AND revision.cause IN ('promote', 'policy', 'rollback', 'guard')
    ON CONFLICT DO NOTHING
"""
OWNERS = (
    "UPDATE lineage_edge SET model_id = model.id FROM model"
    " WHERE target_kind = 'version' AND model.name = split_part(target, '/', 1)",
    "UPDATE lineage_edge SET model_id = decision.model_id FROM decision"
    " WHERE target_kind = 'decision' AND target = decision.id::text",
    "DELETE FROM lineage_edge WHERE model_id IS NULL",
)


def upgrade() -> None:
    make_attestation()
    op.add_column("lineage_edge", sa.Column("model_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "lineage_edge", sa.Column("exported_at", sa.DateTime(timezone=True), nullable=True)
    )
    for statement in OWNERS:
        op.execute(statement)
    op.alter_column("lineage_edge", "model_id", nullable=False)
    op.create_foreign_key(
        op.f("fk_lineage_edge_model_id_model"), "lineage_edge", "model", ["model_id"], ["id"]
    )
    for statement in (SEGMENTS, RUNS, REVISIONS):
        op.execute(statement)
    op.create_index(
        "ix_lineage_edge_unexported",
        "lineage_edge",
        ["created_at", "target_kind", "target"],
        postgresql_where=sa.text("exported_at IS NULL"),
    )
    op.create_index("ix_revision_at", "revision", ["deployment_id", "at", "number"])


def make_attestation() -> None:
    op.create_table(
        "attestation",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["version.model_id", "version.number"],
            name=op.f("fk_attestation_model_id_number_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attestation")),
    )
    op.create_index("ix_attestation_version", "attestation", ["model_id", "number", "id"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON attestation "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.drop_index("ix_revision_at", table_name="revision")
    op.drop_index("ix_lineage_edge_unexported", table_name="lineage_edge")
    op.drop_column("lineage_edge", "exported_at")
    op.drop_column("lineage_edge", "model_id")
    op.drop_table("attestation")
