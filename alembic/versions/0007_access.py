"""Access per model: the models of a token, grants, OIDC issuers and the tokens they exchanged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("token", sa.Column("models", postgresql.JSONB(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_token_expires_at"), "token", ["expires_at"])
    op.create_table(
        "model_grant",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["model.id"], name=op.f("fk_model_grant_model_id_model")
        ),
        sa.PrimaryKeyConstraint("principal", "model_id", name=op.f("pk_model_grant")),
    )
    op.create_table(
        "oidc_issuer",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("algorithms", postgresql.JSONB(), nullable=False),
        sa.Column("jwks_url", sa.String(), nullable=True),
        sa.Column("private", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("claims", postgresql.JSONB(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("models", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_oidc_issuer")),
    )
    op.create_index(op.f("ix_oidc_issuer_issuer"), "oidc_issuer", ["issuer"])
    op.create_table(
        "oidc_jti",
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "jti", name=op.f("pk_oidc_jti")),
    )
    op.create_index(op.f("ix_oidc_jti_expires_at"), "oidc_jti", ["expires_at"])


def downgrade() -> None:
    op.drop_table("oidc_jti")
    op.drop_table("oidc_issuer")
    op.drop_table("model_grant")
    op.drop_index(op.f("ix_token_expires_at"), table_name="token")
    # Without its models a narrow token is one for every model: it ends here, and stays ended.
    op.execute("UPDATE token SET revoked_at = coalesce(revoked_at, now()) WHERE models IS NOT NULL")
    op.drop_column("token", "models")
