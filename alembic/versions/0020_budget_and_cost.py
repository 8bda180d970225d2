"""Turns and holds of jobs, the overall budget, and what attempts cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

READY = "state = 'queued' AND held IS NULL"
HELD = "state = 'queued' AND held IS NOT NULL"


def upgrade() -> None:
    op.add_column("job", sa.Column("model_id", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("held", sa.String(), nullable=True))
    op.add_column("job", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("price", sa.Numeric(18, 9), nullable=True))
    op.add_column("job", sa.Column("currency", sa.String(), nullable=True))
    op.execute(
        "UPDATE job SET model_id = (payload ->> 'model_id')::bigint"
        " WHERE state IN ('queued', 'running')"
    )
    op.drop_index("ix_job_ready", table_name="job")
    op.create_index(
        "ix_job_ready", "job", ["priority", "turn", "id"], postgresql_where=sa.text(READY)
    )
    op.create_index(
        "ix_job_turn",
        "job",
        ["model_id", "priority", "turn"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_job_held", "job", ["id"], postgresql_where=sa.text(HELD))
    op.create_index(
        "ix_job_key", "job", ["dedupe_key"], postgresql_where=sa.text("dedupe_key IS NOT NULL")
    )
    op.create_index(
        "ix_job_ended", "job", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    # each job is written three times: a fifth of a million ended ones is too late to clean up
    op.execute(
        "ALTER TABLE job SET"
        " (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"
    )
    op.add_column("run", sa.Column("granted_seconds", sa.Float(), nullable=True))
    op.create_table(
        "budget",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("runs_per_day", sa.Integer(), nullable=True),
        sa.Column("runs_per_week", sa.Integer(), nullable=True),
        sa.Column("train_seconds_per_day", sa.Float(), nullable=True),
        sa.Column("train_seconds_per_week", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
    )
    op.execute("INSERT INTO budget (id) VALUES (1)")
    op.create_table(
        "cost",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("policy", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("train_seconds", sa.Float(), nullable=False),
        sa.Column("price", sa.Numeric(18, 9), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("amount", sa.Numeric(24, 9), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_cost_run_id_run")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], name=op.f("fk_cost_model_id_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost")),
    )
    op.create_index(op.f("ix_cost_run_id"), "cost", ["run_id"])
    op.create_index(op.f("ix_cost_model_id"), "cost", ["model_id"])
    op.create_index(op.f("ix_cost_at"), "cost", ["at"])
    op.create_index("ix_run_started_at", "run", ["started_at"])
    op.create_index("ix_run_place", "run", ["model_id", "environment", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_run_place", table_name="run")
    op.drop_index("ix_run_started_at", table_name="run")
    op.drop_table("cost")
    op.drop_table("budget")
    op.drop_column("run", "granted_seconds")
    op.execute(
        "ALTER TABLE job RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"
    )
    for name in ("ix_job_ended", "ix_job_key", "ix_job_held", "ix_job_turn", "ix_job_ready"):
        op.drop_index(name, table_name="job")
    op.create_index(
        "ix_job_ready", "job", ["priority", "id"], postgresql_where=sa.text("state = 'queued'")
    )
    for name in ("currency", "price", "started_at", "held_until", "held", "turn", "model_id"):
        op.drop_column("job", name)
