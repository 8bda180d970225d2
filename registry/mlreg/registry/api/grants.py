"""Routes of grants: further roles for single models, by the name that tokens bear."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import GrantAnswer, GrantRequest
from mlreg.registry.api.context import Caller, Reading, Writing
from mlreg.registry.api.permission import may
from mlreg.registry.services import grants
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import ModelGrant

router = APIRouter(prefix="/grants", tags=["tokens"], dependencies=[may("access.write")])
Word = Annotated[str, Path(max_length=200)]


@router.get("")
def list_all(reading: Reading) -> Page[GrantAnswer]:
    """List every grant, by principal and model."""
    with reading() as session:
        found = grants.list_grants(session)
    return Page(items=[_answer(row, model) for row, model in found])


@router.post("/{principal}")
def grant(principal: Word, body: GrantRequest, writing: Writing, caller: Caller) -> GrantAnswer:
    """Give a principal a role on one model, in place of a former one."""
    with writing() as session:
        row = grants.grant(
            session, principal, body.model, body.role, actor=caller, now=SystemClock().now()
        )
    return _answer(row, body.model)


@router.post("/{principal}/{model}/withdraw")
def withdraw(principal: Word, model: Word, writing: Writing, caller: Caller) -> Page[GrantAnswer]:
    """Take a grant back; the answer is an empty page."""
    with writing() as session:
        grants.withdraw(session, principal, model, actor=caller, now=SystemClock().now())
    return Page(items=[])


def _answer(row: ModelGrant, model: str) -> GrantAnswer:
    return GrantAnswer(model=model, **row.model_dump(exclude={"model_id"}))
