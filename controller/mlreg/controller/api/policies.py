"""Routes of policies and firings."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.policies import ApplyRequest, FiringAnswer, PolicyAnswer
from mlreg.controller.api.connections import Declared
from mlreg.controller.services import policies
from mlreg.controller.services.choosing_lane import next_lane_of
from mlreg.controller.services.policies import PolicyInForce, parse_policy
from mlreg.controller.services.run_signing import find_obstacle
from mlreg.controller.services.sourcing import check_source
from mlreg.controller.services.triggering import firings_of
from mlreg.controller.store.policies import find_state
from mlreg.registry.api.context import Caller, Now, Parts, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import get_model
from mlreg.registry.store.database import ReadSession

router = APIRouter(tags=["policies"])
Limit = Annotated[int, Query(ge=1, le=10_000)]
Verb = Literal["enable", "disable"]
PLACE = "/models/{model}/policies/{environment}"


async def _signing_key(parts: Parts) -> str | None:
    """Return the name of the key that this server's workers sign with, if they have one."""
    return cast("str | None", parts.extras.get("signing_key"))


Key = Annotated[str | None, Depends(_signing_key)]


@router.post("/policies", response_model=PolicyAnswer, dependencies=[may("policy.write")])
def apply_policy(  # noqa: PLR0913, PLR0917 - what a route is given
    body: ApplyRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
    key: Key,
    declared: Declared,
) -> Response:
    """Put a policy file in force."""
    git = body.git.model_dump(mode="json") if body.git else None
    policy = parse_policy(body.text)
    permit(caller, "policy.write", policy.model)

    def act() -> PolicyAnswer:
        check_source(declared, get_model(session, policy.model), policy.data)
        found = policies.apply_policy(session, body.text, git=git, actor=caller, now=now)
        return answer_of(session, found, now, key)

    with writing() as session:
        return once.run(session, now, act)


@router.get(PLACE, dependencies=[may("read")])
def show_policy(model: str, environment: str, reading: Reading, now: Now, key: Key) -> PolicyAnswer:
    """Show the policy of a deployment."""
    with reading() as session:
        return answer_of(session, policies.get_policy(session, model, environment), now, key)


@router.post(PLACE + "/{verb}", response_model=PolicyAnswer, dependencies=[may("policy.write")])
def switch_policy(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    environment: str,
    verb: Verb,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
    key: Key,
) -> Response:
    """Enable or disable the policy of a deployment."""
    with writing() as session:
        return once.run(
            session,
            now,
            lambda: answer_of(
                session,
                policies.set_enabled(
                    session, model, environment, enabled=verb == "enable", actor=caller, now=now
                ),
                now,
                key,
            ),
        )


@router.get(PLACE + "/firings", dependencies=[may("read")])
def list_firings(
    model: str, environment: str, reading: Reading, limit: Limit = 100
) -> Page[FiringAnswer]:
    """List firings, newest first."""
    with reading() as session:
        found = policies.get_policy(session, model, environment)
        return Page(
            items=[
                FiringAnswer(**firing.model_dump(), run=run)
                for firing, run in firings_of(session, found, limit)
            ]
        )


def answer_of(
    session: ReadSession, found: PolicyInForce, now: Now, key: str | None
) -> PolicyAnswer:
    """Return a policy with what is due next, and what speaks against its runs ending well."""
    obstacle = find_obstacle(session, found.model, key)
    state = find_state(session, found.model_id, found.environment)
    return PolicyAnswer(
        model=found.model,
        environment=found.environment,
        number=found.number,
        enabled=found.enabled,
        source=found.source,
        policy=found.policy.to_json(),
        git=None if found.git is None else dict(found.git),
        applied_at=found.created_at,
        applied_by=found.created_by,
        next_due=state.next_fire_at if state else None,
        read_until=state.evaluated_until if state else None,
        next_lane=next_lane_of(session, found, now),
        warnings=[] if obstacle is None else [obstacle],
    )
