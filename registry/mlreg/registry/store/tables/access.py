"""Who may come in: tokens, grants, issuers of identities."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
)
from sqlmodel import Field, SQLModel

from mlreg.registry.store.columns import (
    document,
    flag,
    moment,
    optional_document,
    optional_moment,
)


class Token(SQLModel, table=True):
    """A bearer token by its id; only the SHA-256 of the whole token is kept."""

    __tablename__ = "token"

    id: str = Field(primary_key=True)
    kind: str
    name: str
    role: str
    digest: str
    created_at: datetime = moment()
    created_by: str
    models: list[str] | None = optional_document()
    expires_at: datetime | None = optional_moment(index=True)
    revoked_at: datetime | None = optional_moment()
    last_used_at: datetime | None = optional_moment()


class ModelGrant(SQLModel, table=True):
    """A further role of a principal (whoever bears tokens of that name), for one model."""

    __tablename__ = "model_grant"

    principal: str = Field(primary_key=True)
    model_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("model.id"), primary_key=True, autoincrement=False)
    )
    role: str
    granted_by: str
    granted_at: datetime = moment()


class OidcIssuer(SQLModel, table=True):
    """An issuer whose ID tokens are exchanged for ours, and what such a token must claim."""

    __tablename__ = "oidc_issuer"

    name: str = Field(primary_key=True, max_length=63)
    issuer: str = Field(index=True)
    audience: str
    algorithms: list[str] = document()
    jwks_url: str | None = None
    private: bool = flag()
    claims: dict[str, Any] = document()
    role: str
    models: list[str] | None = optional_document()
    created_at: datetime = moment()
    created_by: str


class OidcJti(SQLModel, table=True):
    """An ID token that was exchanged; it is not taken twice while it would be valid."""

    __tablename__ = "oidc_jti"

    issuer: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires_at: datetime = moment(index=True)
