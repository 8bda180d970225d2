"""Tokens: create, list, revoke."""

from __future__ import annotations

from typing import Literal

from mlreg.client.transport import Transport, path
from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import IssuedTokenAnswer, TokenAnswer, TokenRequest


class Tokens:
    """Who may call this server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        kind: Literal["person", "service"] = "person",
        days: int | None = None,
    ) -> IssuedTokenAnswer:
        """Make a token; its text is in the answer, this once."""
        body = TokenRequest(name=name, kind=kind, days=days)
        return self._transport.post(path("tokens"), body, IssuedTokenAnswer)

    def list(self) -> list[TokenAnswer]:
        """Return every token, newest first, without secrets."""
        return self._transport.get(path("tokens"), Page[TokenAnswer]).items

    def revoke(self, token_id: str) -> TokenAnswer:
        """End a token."""
        return self._transport.post(path("tokens", token_id, "revoke"), None, TokenAnswer)
