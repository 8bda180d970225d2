"""Routes of environments."""

from __future__ import annotations

from fastapi import APIRouter, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.environments import EnvironmentAnswer, EnvironmentRequest
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.services.environments import declare_environment, list_environments
from mlreg.registry.store.tables import Environment

router = APIRouter(prefix="/environments", tags=["environments"])


@router.post(
    "", status_code=201, response_model=EnvironmentAnswer, dependencies=[may("environment.write")]
)
def create(
    body: EnvironmentRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Declare a place to deploy to."""
    with writing() as session:
        return once.run(
            session,
            now,
            lambda: _answer(declare_environment(session, body.name, actor=caller, now=now)),
            status=201,
        )


@router.get("", dependencies=[may("read")])
def list_all(reading: Reading) -> Page[EnvironmentAnswer]:
    """List the declared environments."""
    with reading() as session:
        return Page(items=[_answer(item) for item in list_environments(session)])


def _answer(environment: Environment) -> EnvironmentAnswer:
    return EnvironmentAnswer(name=environment.name, created_at=environment.created_at)
