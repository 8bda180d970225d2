"""Routes of issuers of ID tokens, and the exchange: the one way in without a token of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from mlreg.client.wire.base import Page
from mlreg.client.wire.tokens import (
    ExchangeRequest,
    IssuedTokenAnswer,
    IssuerAnswer,
    IssuerRequest,
)
from mlreg.registry.api.context import Caller, Reading, Writing
from mlreg.registry.api.permission import may
from mlreg.registry.api.tokens import issued_answer
from mlreg.registry.domain.oidc import IdTokenRefusedError, Trust
from mlreg.registry.services import oidc
from mlreg.registry.services.oidc_keys import IssuerKeys
from mlreg.registry.services.throttle import Throttle
from mlreg.registry.store.clock import SystemClock

LOG = logging.getLogger(__name__)
router = APIRouter(tags=["tokens"])
Word = Annotated[str, Path(max_length=200)]


async def _keys(request: Request) -> IssuerKeys:
    keys: IssuerKeys = request.app.state.issuer_keys
    return keys


Keys = Annotated[IssuerKeys, Depends(_keys)]


@router.post("/oidc/exchange", status_code=201)
def exchange(
    body: ExchangeRequest, request: Request, reading: Reading, writing: Writing, keys: Keys
) -> IssuedTokenAnswer:
    """Exchange a CI system's ID token for a token of a quarter of an hour; public, and once."""
    now = SystemClock().now()
    throttle: Throttle = request.app.state.throttle
    with throttle.attempt(request.client.host if request.client else None), _logged():
        claimed = oidc.read_claimed(body.id_token)
        with reading() as session:
            trusts = oidc.find_trusts(session, claimed, body.issuer)
        verified = oidc.verify(body.id_token, claimed, trusts, keys, now)
        with writing() as session:
            return issued_answer(oidc.exchange(session, verified, now=now))


@router.post("/issuers", status_code=201, dependencies=[may("access.write")])
def add_issuer(body: IssuerRequest, writing: Writing, caller: Caller) -> IssuerAnswer:
    """Trust an issuer's ID tokens that claim all of this."""
    trust = Trust(
        name=body.name,
        issuer=body.issuer,
        audience=body.audience,
        algorithms=tuple(body.algorithms),
        claims=body.claims,
        role=body.role,
        models=None if body.models is None else frozenset(body.models),
        jwks_url=body.jwks_url,
        private=body.private,
    )
    with writing() as session:
        row = oidc.add_issuer(session, trust, actor=caller, now=SystemClock().now())
    return IssuerAnswer.model_validate(row.model_dump())


@router.get("/issuers", dependencies=[may("access.write")])
def list_issuers(reading: Reading) -> Page[IssuerAnswer]:
    """List the issuers that are trusted."""
    with reading() as session:
        found = oidc.list_issuers(session)
    return Page(items=[IssuerAnswer.model_validate(row.model_dump()) for row in found])


@router.post("/issuers/{name}/remove", dependencies=[may("access.write")])
def remove_issuer(name: Word, writing: Writing, caller: Caller) -> Page[IssuerAnswer]:
    """Trust an issuer no more; the answer is an empty page."""
    with writing() as session:
        oidc.remove_issuer(session, name, actor=caller, now=SystemClock().now())
    return Page(items=[])


@contextmanager
def _logged() -> Iterator[None]:
    """Tell the operator why an ID token was refused; its bearer is not told."""
    try:
        yield
    except IdTokenRefusedError as error:
        LOG.warning("an ID token was not exchanged: %s", error.reason)
        raise
