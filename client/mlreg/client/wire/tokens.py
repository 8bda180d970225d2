"""Tokens over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from mlreg.client.wire.base import Answer, Name, Request


class TokenRequest(Request):
    """Make a token; `days` None is 30 for a person and 90 for a service."""

    name: Name
    kind: Literal["person", "service"] = "person"
    days: int | None = Field(default=None, ge=1, le=366)


class TokenAnswer(Answer):
    """A token without its secret."""

    id: str
    name: str
    kind: str
    role: str
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
    expires_at: datetime | None
    token: str
