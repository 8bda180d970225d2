"""Routes of policies and firings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.policies import (
    ApplyRequest,
    CollectingAnswer,
    FiringAnswer,
    PolicyAnswer,
    PolicyDiffAnswer,
    PolicyVersionAnswer,
    PreviewAnswer,
    PreviewRequest,
    RevertRequest,
    StarterAnswer,
)
from mlreg.controller.api.connections import Declared
from mlreg.controller.api.policy_forms import change_form, preview_answer, version_answer
from mlreg.controller.domain.policy_schema import policy_schema
from mlreg.controller.services import firings, policies, policy_history, previewing
from mlreg.controller.services.choosing_lane import next_lane_of
from mlreg.controller.services.collecting_rows import find_collection
from mlreg.controller.services.policies import PolicyInForce
from mlreg.controller.services.policy_checks import advise, known_of
from mlreg.controller.services.policy_starter import starter_of
from mlreg.controller.services.policy_texts import complete, kinds, parse_policy
from mlreg.controller.services.run_signing import find_obstacle
from mlreg.controller.services.sourcing import check_source
from mlreg.controller.services.trigger_checks import trigger_advice
from mlreg.controller.store.policies import find_state
from mlreg.registry.api.context import Caller, Now, Parts, Reading, SharedNow, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services.catalog import get_model, lock_model
from mlreg.registry.store.database import ReadSession

router = APIRouter(tags=["policies"])
Number = Annotated[int, Query(ge=1, lt=2**31)]
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
    now: SharedNow,
    key: Key,
    declared: Declared,
) -> Response:
    """Put a policy file in force."""
    git = body.git.model_dump(mode="json") if body.git else None
    policy = parse_policy(body.text)
    permit(caller, "policy.write", policy.model)

    def act() -> PolicyAnswer:
        model = lock_model(session, policy.model)  # so that what was before it stays that
        check_source(declared, model, policy.data)
        before = policies.find_policy(session, model, policy.environment)
        found = policies.apply_policy(session, body.text, git=git, actor=caller, now=now)
        return applied_answer(session, before, found, now, key)

    with writing() as session:
        return once.run(session, now, act)


@router.post("/policies/preview", dependencies=[may("read")])
def preview_policy(
    body: PreviewRequest, reading: Reading, caller: Caller, now: Now, declared: Declared
) -> PreviewAnswer:
    """Say what applying a policy file would change and do; nothing is applied."""
    policy = parse_policy(body.text)
    permit(caller, "read", policy.model)
    with reading() as session:
        check_source(declared, get_model(session, policy.model), policy.data)
        return preview_answer(previewing.preview_policy(session, body.text, actor=caller, now=now))


@router.get("/schemas/policy.json", dependencies=[may("read")])
def show_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file, for editors."""
    return policy_schema(kinds())


@router.get(PLACE + "/starter", dependencies=[may("read")])
def show_starter(model: str, environment: str, reading: Reading) -> StarterAnswer:
    """Return a policy file to begin with, for this model."""
    with reading() as session:
        return StarterAnswer(text=starter_of(session, model, environment))


@router.get(PLACE, dependencies=[may("read")])
def show_policy(
    model: str,
    environment: str,
    reading: Reading,
    now: Now,
    key: Key,
    number: Number | None = None,
) -> PolicyAnswer:
    """Show the policy of a deployment, or an earlier version of it."""
    with reading() as session:
        if number is None:
            found = policies.get_policy(session, model, environment)
        else:
            found = policies.get_version(session, model, environment, number)
        return answer_of(session, found, now, key)


@router.get(PLACE + "/history", dependencies=[may("read")])
def list_versions(
    model: str, environment: str, reading: Reading, before: Before = None, limit: Limit = 100
) -> Page[PolicyVersionAnswer]:
    """List the versions of a policy, newest first."""
    with reading() as session:
        found = policy_history.list_editions(
            session, model, environment, before=before, limit=limit + 1
        )
    return numbered_page([version_answer(one) for one in found], limit, lambda one: one.number)


@router.get(PLACE + "/diff", dependencies=[may("read")])
def compare_versions(
    model: str, environment: str, old: Number, new: Number, reading: Reading
) -> PolicyDiffAnswer:
    """Say what is different between two versions of a policy."""
    with reading() as session:
        one, two = (
            policies.get_version(session, model, environment, number) for number in (old, new)
        )
    changes = [change_form(change) for change in policy_history.between(one, two)]
    return PolicyDiffAnswer(old=old, new=new, changes=changes)


@router.post(PLACE + "/revert", response_model=PolicyAnswer, dependencies=[may("policy.write")])
def revert_policy(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    environment: str,
    body: RevertRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
    key: Key,
    declared: Declared,
) -> Response:
    """Put the text of an earlier version in force again, as a new version."""

    def act() -> PolicyAnswer:
        locked = lock_model(session, model)
        before = policies.get_policy(session, model, environment)
        earlier = policies.get_version(session, model, environment, body.to)
        check_source(declared, locked, earlier.policy.data)
        found = policies.revert_policy(session, model, environment, body.to, actor=caller, now=now)
        return applied_answer(session, before, found, now, key)

    with writing() as session:
        return once.run(session, now, act)


@router.post(PLACE + "/{verb}", response_model=PolicyAnswer, dependencies=[may("policy.write")])
def switch_policy(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    environment: str,
    verb: Verb,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: SharedNow,
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
    model: str, environment: str, reading: Reading, before: Before = None, limit: Limit = 100
) -> Page[FiringAnswer]:
    """List firings, newest first."""
    with reading() as session:
        found = policies.get_policy(session, model, environment)
        answers = [
            FiringAnswer(**firing.model_dump(), run=run)
            for firing, run in firings.list_firings(session, found, before=before, limit=limit + 1)
        ]
    return numbered_page(answers, limit, lambda one: one.id)


def applied_answer(
    session: ReadSession,
    before: PolicyInForce | None,
    found: PolicyInForce,
    now: Now,
    key: str | None,
) -> PolicyAnswer:
    """Return a policy that was applied, with what that has changed, and what should be heard."""
    model = get_model(session, found.model)
    known = known_of(session, model, found.environment, now)
    policy = complete(parse_policy(found.source), model)
    of_triggers = trigger_advice(session, policy, model)
    advice = advise(found.source, policy, model, known, now, of_triggers)
    answer = answer_of(session, found, now, key)
    changed = before is None or before.number != found.number
    changes = policy_history.between(before, found) if changed else ()
    return answer.model_copy(
        update={
            "warnings": [*answer.warnings, *advice],
            "changes": [change_form(one) for one in changes],
        }
    )


def answer_of(
    session: ReadSession, found: PolicyInForce, now: Now, key: str | None
) -> PolicyAnswer:
    """Return a policy with what is due next, and what speaks against its runs ending well."""
    obstacle = find_obstacle(session, found.model, key)
    state = find_state(session, found.model_id, found.environment)
    if state is not None and state.policy_id != found.policy_id:
        state = None  # an earlier version: nothing is due by it
    return PolicyAnswer(
        model=found.model,
        environment=found.environment,
        number=found.number,
        enabled=found.enabled and state is not None,
        source=found.source,
        policy=found.policy.to_json(),
        git=None if found.git is None else dict(found.git),
        applied_at=found.created_at,
        applied_by=found.created_by,
        next_due=state.next_fire_at if state else None,
        read_until=state.evaluated_until if state else None,
        next_lane=next_lane_of(session, found, now),
        collecting=_collecting(session, found),
        warnings=[] if obstacle is None else [obstacle],
    )


def _collecting(session: ReadSession, found: PolicyInForce) -> CollectingAnswer | None:
    """Return what a run waits for, or was trained on since a change."""
    collection = find_collection(session, found.model_id, found.environment)
    return None if collection is None else CollectingAnswer(**asdict(collection))
