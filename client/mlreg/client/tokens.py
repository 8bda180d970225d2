"""Tokens and grants: create, list, revoke, grant, and who one is."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Literal

from mlreg.client.transport import Transport, path
from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import (
    GrantAnswer,
    GrantRequest,
    IssuedTokenAnswer,
    RoleName,
    TokenAnswer,
    TokenRequest,
    WhoAmIAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Tokens:
    """Who may call this server, and what they may do.

    ```python
    made = client.tokens.create("nightly", kind="service", role="ci", models=["flights"], days=90)
    print(made.token)  # shown this once
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        kind: Literal["person", "service"] = "person",
        role: RoleName = "viewer",
        models: Sequence[str] | None = None,
        days: int | None = None,
    ) -> IssuedTokenAnswer:
        """Make a token; its text is in the answer, this once.

        Args:
            name: whose it is, as the audit log will show it.
            kind: a person's rollback freezes automation, a service's does not.
            role: what it may do.
            models: the models that the role is for; None is every one.
            days: how long it lives; None is 30 for a person, 90 for a service.
        """
        scope = None if models is None else builtins.list(models)
        body = TokenRequest(name=name, kind=kind, role=role, models=scope, days=days)
        return self._transport.post(path("tokens"), body, IssuedTokenAnswer)

    def list(self) -> builtins.list[TokenAnswer]:
        """Return tokens, newest first, a thousand at most, without secrets."""
        return self._transport.get(path("tokens"), Page[TokenAnswer]).items

    def revoke(self, token_id: str) -> TokenAnswer:
        """End a token, everywhere within a second."""
        return self._transport.post(path("tokens", token_id, "revoke"), None, TokenAnswer)

    def who_am_i(self) -> WhoAmIAnswer:
        """Return whose token this client bears, and what it may do."""
        return self._transport.get(path("whoami"), WhoAmIAnswer)

    def grant(self, principal: str, model: str, role: RoleName) -> GrantAnswer:
        """Give whoever bears tokens of this name a role on one model, in place of a former one."""
        body = GrantRequest(model=model, role=role)
        return self._transport.post(path("grants", principal), body, GrantAnswer)

    def ungrant(self, principal: str, model: str) -> None:
        """Take a grant back."""
        self._transport.post(path("grants", principal, model, "withdraw"), None, Page[GrantAnswer])

    def grants(self) -> builtins.list[GrantAnswer]:
        """Return every grant, by principal and model."""
        return self._transport.get(path("grants"), Page[GrantAnswer]).items
