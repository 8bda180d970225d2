"""Routes of signatures: trusted keys, what they signed, and which models ask for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from mlreg.client.wire.base import Page
from mlreg.client.wire.signing import (
    KeyAnswer,
    KeyRequest,
    RequirementAnswer,
    RequirementRequest,
    SignatureAnswer,
)
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.permission import may
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import catalog, signing
from mlreg.registry.store.tables import SigningKey

router = APIRouter(tags=["signing"])
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.get("/signing-keys", dependencies=[may("read")])
def list_keys(reading: Reading, caller: Caller) -> Page[KeyAnswer]:
    """List the public keys that are or were trusted, the newest first, as far as one may see."""
    seen = caller.models_for("read")
    with reading() as session:
        return Page(items=[_answer(key, seen) for key in signing.list_keys(session, models=seen)])


@router.post("/signing-keys", status_code=201, dependencies=[may("access.write")])
def add_key(body: KeyRequest, writing: Writing, caller: Caller, now: Now) -> KeyAnswer:
    """Trust a public key; repeating it changes its name and its models."""
    with writing() as session:
        return _answer(signing.add_key(session, body, actor=caller, now=now))


@router.post("/signing-keys/{key}/remove", dependencies=[may("access.write")])
def remove_key(key: str, writing: Writing, caller: Caller, now: Now) -> KeyAnswer:
    """Trust a key no more; repeating it is fine."""
    with writing() as session:
        return _answer(signing.remove_key(session, key, actor=caller, now=now))


@router.post("/models/{model}/require-signatures", dependencies=[may("access.write")])
def require(
    model: str, body: RequirementRequest, writing: Writing, caller: Caller, now: Now
) -> RequirementAnswer:
    """Say whether every new version of a model must be signed; repeating it is fine."""
    with writing() as session:
        signing.require_signatures(session, model, required=body.required, actor=caller, now=now)
    return RequirementAnswer(model=model, required=body.required)


@router.get("/models/{model}/versions/{number}/signatures", dependencies=[may("read")])
def list_signatures(model: str, number: Number, reading: Reading) -> Page[SignatureAnswer]:
    """List the signatures of a version with the keys that made them."""
    with reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, model), number)
        answers = [
            SignatureAnswer(
                kind=signature.kind,
                key_id=key.id,
                key_name=key.name,
                public_key=key.public_key,
                trusted=signing.is_trusted(key, model),
                body=signature.body,
                created_at=signature.created_at,
                created_by=signature.created_by,
            )
            for signature, key in signing.list_signatures(session, version)
        ]
    return Page(items=answers)


def _answer(key: SigningKey, seen: frozenset[str] | None = None) -> KeyAnswer:
    """Return a key as it is answered, without the models that the caller may not know of."""
    answer = KeyAnswer.model_validate(key.model_dump())
    if seen is None or answer.models is None:
        return answer
    return answer.model_copy(update={"models": [one for one in answer.models if one in seen]})
