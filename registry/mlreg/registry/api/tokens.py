"""Routes of tokens. Times are real, not business time."""

from __future__ import annotations

from fastapi import APIRouter

from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import IssuedTokenAnswer, TokenAnswer, TokenRequest
from mlreg.registry.api.context import Caller, Reading, Writing
from mlreg.registry.api.permission import may
from mlreg.registry.services import access
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import Token

router = APIRouter(prefix="/tokens", tags=["tokens"])


@router.post("", status_code=201, dependencies=[may("access.write")])
def create(body: TokenRequest, writing: Writing, caller: Caller) -> IssuedTokenAnswer:
    """Make a token; its text is in this answer only, so a repeated request makes another."""
    with writing() as session:
        issued = access.issue_token(
            session,
            body.name,
            kind=body.kind,
            days=body.days,
            actor=caller,
            now=SystemClock().now(),
        )
    return IssuedTokenAnswer(
        id=issued.token_id,
        name=issued.name,
        kind=issued.kind,
        role=issued.role,
        expires_at=issued.expires_at,
        token=issued.bearer,
    )


@router.get("", dependencies=[may("access.write")])
def list_all(reading: Reading) -> Page[TokenAnswer]:
    """List tokens, newest first, without their secrets."""
    with reading() as session:
        return Page(items=[_answer(token) for token in access.list_tokens(session)])


@router.post("/{token_id}/revoke", dependencies=[may("access.write")])
def revoke(token_id: str, writing: Writing, caller: Caller) -> TokenAnswer:
    """End a token everywhere, within a second; repeating it is fine."""
    with writing() as session:
        return _answer(
            access.revoke_token(session, token_id, actor=caller, now=SystemClock().now())
        )


def _answer(token: Token) -> TokenAnswer:
    return TokenAnswer.model_validate(token.model_dump())
