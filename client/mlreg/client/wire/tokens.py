"""Tokens, grants, issuers of ID tokens, and who one is, over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mlreg.client.wire.base import Answer, Name, Request

RoleName = Literal["viewer", "ci", "operator", "approver", "admin"]
Models = Annotated[list[Name], Field(min_length=1, max_length=1_000)]


class TokenRequest(Request):
    """Make a token; `models` None is every model, `days` None 30 for a person, 90 for a service."""

    name: Name
    kind: Literal["person", "service"] = "person"
    role: RoleName = "viewer"
    models: Models | None = None
    days: int | None = Field(default=None, ge=1, le=366)


class TokenAnswer(Answer):
    """A token without its secret."""

    id: str
    name: str
    kind: str
    role: str
    models: list[str] | None = None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class IssuedTokenAnswer(Answer):
    """A new token; `token` is its whole text, shown this once."""

    id: str
    name: str
    kind: str
    role: str
    models: list[str] | None = None
    expires_at: datetime | None
    token: str


class GrantRequest(Request):
    """Give whoever bears tokens of a name a role on one model."""

    model: Name
    role: RoleName


class GrantAnswer(Answer):
    """A further role of a principal, for one model."""

    principal: str
    model: str
    role: str
    granted_by: str
    granted_at: datetime


class WhoAmIAnswer(Answer):
    """The bearer of the token that asks; `models` None is every one."""

    name: str
    kind: str
    role: str
    models: list[str] | None
    grants: dict[str, str]
    token: str
    expires_at: datetime | None


IdToken = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
ClaimName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.:/-]{0,99}$")]
ClaimValue = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=500)]


class IssuerRequest(Request):
    """Trust an issuer's ID tokens that claim all of this; a claim may have one of several values.

    `private` lets the issuer be on this network, and speak plain HTTP on this machine.
    """

    name: Name
    issuer: Url
    audience: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    algorithms: Annotated[
        tuple[Literal["RS256", "ES256", "EdDSA"], ...], Field(min_length=1, max_length=3)
    ] = ("RS256",)
    jwks_url: Url | None = None
    private: bool = False
    claims: Annotated[
        dict[ClaimName, Annotated[list[ClaimValue], Field(min_length=1, max_length=50)]],
        Field(min_length=1, max_length=20),
    ]
    role: Literal["viewer", "ci", "operator"] = "ci"
    models: Models | None = None


class IssuerAnswer(Answer):
    """An issuer that is trusted, and what its ID tokens must claim."""

    name: str
    issuer: str
    audience: str
    algorithms: list[str]
    jwks_url: str | None
    private: bool
    claims: dict[str, list[str]]
    role: str
    models: list[str] | None
    created_at: datetime
    created_by: str


class ExchangeRequest(Request):
    """Exchange an ID token; `issuer` names the trust, where several would fit."""

    id_token: IdToken
    issuer: Name | None = None
