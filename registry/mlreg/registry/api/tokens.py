"""Routes of tokens, and of who one is. Times are real, not business time."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request

from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import (
    IssuedTokenAnswer,
    TokenAnswer,
    TokenRequest,
    WhoAmIAnswer,
)
from mlreg.registry.api.context import Caller, Reading, Writing
from mlreg.registry.api.permission import may
from mlreg.registry.services import access
from mlreg.registry.services.access import Bearer, IssuedToken
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import Token

router = APIRouter(tags=["tokens"])


@router.post("/tokens", status_code=201, dependencies=[may("access.write")])
def create(body: TokenRequest, writing: Writing, caller: Caller) -> IssuedTokenAnswer:
    """Make a token; its text is in this answer only, so a repeated request makes another."""
    with writing() as session:
        issued = access.issue_token(
            session,
            body.name,
            kind=body.kind,
            role=body.role,
            models=body.models,
            days=body.days,
            actor=caller,
            now=SystemClock().now(),
        )
    return issued_answer(issued)


@router.get("/tokens", dependencies=[may("access.write")])
def list_all(reading: Reading) -> Page[TokenAnswer]:
    """List tokens, newest first, without their secrets."""
    with reading() as session:
        return Page(items=[_answer(token) for token in access.list_tokens(session)])


@router.post("/tokens/{token_id}/revoke", dependencies=[may("access.write")])
def revoke(token_id: str, writing: Writing, caller: Caller) -> TokenAnswer:
    """End a token everywhere, within a second; repeating it is fine."""
    with writing() as session:
        return _answer(
            access.revoke_token(session, token_id, actor=caller, now=SystemClock().now())
        )


@router.get("/whoami", dependencies=[may("read")])
async def who_am_i(request: Request) -> WhoAmIAnswer:
    """Say whose token this is, what it may do, and until when."""
    bearer = cast("Bearer", request.scope["state"]["bearer"])
    actor = bearer.actor
    return WhoAmIAnswer(
        name=actor.name,
        kind=actor.kind,
        role=actor.role,
        models=None if actor.models is None else sorted(actor.models),
        grants=dict(actor.grants),
        token=bearer.token_id,
        expires_at=bearer.expires_at,
    )


def issued_answer(issued: IssuedToken) -> IssuedTokenAnswer:
    """Return a new token as it is answered, once."""
    return IssuedTokenAnswer(
        id=issued.token_id,
        name=issued.name,
        kind=issued.kind,
        role=issued.role,
        models=None if issued.models is None else sorted(issued.models),
        expires_at=issued.expires_at,
        token=issued.bearer,
    )


def _answer(token: Token) -> TokenAnswer:
    return TokenAnswer.model_validate(token.model_dump())
