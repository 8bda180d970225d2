"""Routes that change and read deployments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from mlreg.client.wire.approvals import ProtectRequest
from mlreg.client.wire.base import Page
from mlreg.client.wire.deployments import (
    AcknowledgeRequest,
    ChangeAnswer,
    ChangeRequest,
    ClientAnswer,
    DeploymentAnswer,
    FallbackRequest,
    LiftBarAnswer,
    LiftBarRequest,
    PromoteRequest,
    RevisionAnswer,
    RollbackRequest,
    StatusAnswer,
)
from mlreg.registry.api.cache import Caches
from mlreg.registry.api.checkpoints import checkpoint_header
from mlreg.registry.api.context import (
    Caller,
    Now,
    Parts,
    Reading,
    Store,
    Writing,
    caller_of,
    now_of,
    parts_of,
)
from mlreg.registry.api.idempotency import OncePerKey, key_of
from mlreg.registry.api.parts import RaiseAlarm
from mlreg.registry.api.permission import Listed, may, permit
from mlreg.registry.api.short_routes import ShortRoute
from mlreg.registry.domain.errors import InvalidError, PreconditionRequiredError
from mlreg.registry.services import deployments, status
from mlreg.registry.services.deployments import Change, ChangedState
from mlreg.registry.services.status import DeploymentStatus, PastRevision
from mlreg.registry.store.failpoint import failpoint

router = APIRouter(tags=["deployments"])
PATH = "/models/{model}/deployments/{environment}"
ANY = "*"


class InvalidEntityTagError(InvalidError):
    """An `If-Match` that is not an ETag of a deployment."""

    code = "invalid_if_match"
    hint = 'Send the ETag as it came, like "<incarnation>-<revision>", or `*`.'

    def __init__(self, *, tag: str) -> None:
        super().__init__(f"If-Match {tag[:80]!r} is not a deployment's ETag")


def _change(request: Request, model: str, environment: str) -> Change:
    """Return the change that a request asks for, but for its reason.

    Raises:
        PreconditionRequiredError: it has no If-Match.
        InvalidEntityTagError: its If-Match is no tag of ours.
    """
    tag = request.headers.get("if-match")
    if tag is None:
        raise PreconditionRequiredError
    incarnation, expected = parse_entity_tag(tag)
    return Change(
        model,
        environment,
        caller_of(request),
        expected=expected,
        incarnation=incarnation,
        idempotency_key=key_of(request),
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to change a deployment: what is asked, and the doors to do it by."""

    change: Change
    writing: Writing
    caches: Caches
    now: datetime
    raise_alarm: RaiseAlarm | None = None

    def do(
        self, verb: Callable[..., ChangedState], body: ChangeRequest, **options: object
    ) -> Response:
        """Do what a verb of the service does, or find out what it would do (`dry_run`)."""
        key = None if body.dry_run else self.change.idempotency_key
        change = replace(self.change, reason=body.reason, idempotency_key=key)
        with self.writing() as session:
            changed = verb(session, change, now=self.now, **options)
            if changed.broke_glass and self.raise_alarm:
                self.raise_alarm(session, change, changed, self.now)
            if body.dry_run:
                session.rollback()
        return _done(self.caches, changed, dry_run=body.dry_run)


async def _ask(request: Request, model: str, environment: str) -> Ask:
    """Return what is asked: one dependency, for each costs as much as a statement in PostgreSQL."""
    parts, caches = await parts_of(request), request.app.state.caches
    change, now = _change(request, model, environment), await now_of(parts)
    return Ask(change, parts.database.writing, caches, now, parts.raise_alarm)


Asking = Annotated[Ask, Depends(_ask)]


def parse_entity_tag(tag: str) -> tuple[str | None, int | None]:
    """Return the incarnation and revision of an ETag; `*` is any.

    Raises:
        InvalidEntityTagError: it is neither.
    """
    if tag == ANY:
        return None, None
    incarnation, dash, revision = tag.strip('"').rpartition("-")
    if not (dash and revision.isascii() and revision.isdigit() and len(revision) < 10):  # noqa: PLR2004 - 32 bits
        raise InvalidEntityTagError(tag=tag)
    return incarnation, int(revision)


def _done(caches: Caches, changed: ChangedState, *, dry_run: bool) -> Response:
    """Answer a change, after this process's cache has learnt of it."""
    if not dry_run:
        failpoint("change.committed")
        if caches.deployments.find(changed.model, changed.environment) is None:
            caches.deployments.find_in_database(changed.model, changed.environment)
        caches.deployments.take(changed)
    answer = ChangeAnswer.model_validate({**asdict(changed), "dry_run": dry_run})
    return Response(
        answer.model_dump_json(),
        headers={"ETag": changed.etag, **checkpoint_header(caches.checkpoint)},
        media_type="application/json",
    )


@router.post(f"{PATH}/promote", response_model=ChangeAnswer, dependencies=[may("promote")])
def promote(body: PromoteRequest, ask: Asking, store: Store) -> Response:
    """Make a version the champion; needs `If-Match`."""
    if body.force or body.break_glass:
        permit(ask.change.actor, "promote.force", ask.change.model)
    return ask.do(
        deployments.promote,
        body,
        version=body.version,
        force=body.force,
        break_glass=body.break_glass,
        store=store,
    )


def short_routes(prefix: str) -> list[BaseRoute]:
    """Return the short way to `promote`, below an API prefix."""

    async def answer(request: Request, body: PromoteRequest) -> Response:
        named = request.path_params
        ask = await _ask(request, named["model"], named["environment"])
        return await run_in_threadpool(promote, body, ask, request.app.state.parts.store)

    return [ShortRoute(f"{prefix}{PATH}/promote", "promote", PromoteRequest, answer)]


@router.post(f"{PATH}/rollback", response_model=ChangeAnswer, dependencies=[may("rollback")])
def rollback(body: RollbackRequest, ask: Asking, store: Store) -> Response:
    """Return to a former champion; needs `If-Match`."""
    return ask.do(deployments.rollback, body, to=body.to, store=store)


@router.post(f"{PATH}/freeze", response_model=ChangeAnswer, dependencies=[may("deployment.write")])
def freeze(body: ChangeRequest, ask: Asking) -> Response:
    """Stop automation; needs `If-Match`."""
    return ask.do(deployments.freeze, body)


@router.post(
    f"{PATH}/unfreeze", response_model=ChangeAnswer, dependencies=[may("deployment.write")]
)
def unfreeze(body: ChangeRequest, ask: Asking) -> Response:
    """Let automation go on; needs `If-Match`."""
    return ask.do(deployments.unfreeze, body)


@router.post(
    f"{PATH}/fallback", response_model=ChangeAnswer, dependencies=[may("deployment.write")]
)
def fall_back(body: FallbackRequest, ask: Asking) -> Response:
    """Have clients serve a fallback of theirs, or end that; needs `If-Match`."""
    return ask.do(deployments.fall_back, body, fallback=body.fallback)


@router.post(
    f"{PATH}/protect", response_model=ChangeAnswer, dependencies=[may("deployment.protect")]
)
def protect(body: ProtectRequest, ask: Asking) -> Response:
    """Ask for approvals before every promote; needs `If-Match`."""
    return ask.do(deployments.protect, body, approvals=body.approvals)


@router.post(f"{PATH}/unbar", response_model=LiftBarAnswer, dependencies=[may("deployment.write")])
def lift_bar(  # noqa: PLR0913, PLR0917 - what a route is given
    model: str,
    environment: str,
    body: LiftBarRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Let a version that a guard took down be promoted again."""
    change = Change(model, environment, caller, body.reason)

    def act() -> LiftBarAnswer:
        deployments.lift_bar(session, change, version=body.version, now=now)
        return LiftBarAnswer(model=model, environment=environment, version=body.version)

    with writing() as session:
        return once.run(session, now, act)


@router.get(f"{PATH}/revisions", dependencies=[may("read")])
def list_revisions(
    model: str,
    environment: str,
    reading: Reading,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=status.MAX_HISTORY)] = 100,
) -> Page[RevisionAnswer]:
    """List what was live, newest first."""
    with reading() as session:
        found = status.list_history(session, model, environment, before=before, limit=limit)
    last = found[-1].revision.number if len(found) == limit else 1
    return Page(items=[_revision(past) for past in found], next=str(last) if last > 1 else None)


@router.post(f"{PATH}/acknowledgements", dependencies=[may("acknowledge")])
def acknowledge(
    model: str, environment: str, body: AcknowledgeRequest, writing: Writing, now: Now
) -> DeploymentAnswer:
    """Say which revision a client serves; the answer is what it should serve."""
    with writing() as session:
        state = status.acknowledge(
            session, model, environment, client=body.client, revision=body.revision, now=now
        )
    return DeploymentAnswer.model_validate(asdict(state))


@router.get("/deployments", dependencies=[may("read")])
def list_deployments(reading: Reading, parts: Parts, listed: Listed) -> Page[StatusAnswer]:
    """List what is live, which clients are behind, and how many incidents are open."""
    with reading() as session:
        found = [
            item
            for item in status.list_status(session, listed.model)
            if listed.names is None or item.state.model in listed.names
        ]
        incidents = parts.open_incidents(session) if parts.open_incidents else {}
        alerts = parts.open_alerts(session) if parts.open_alerts else {}
    open_ones = [
        (incidents.get(place, 0), alerts.get(place, 0))
        for place in ((item.state.model, item.state.environment) for item in found)
    ]
    said = parts.controller_state() if parts.controller_state else ""
    return Page(items=[_status(*pair, said) for pair in zip(found, open_ones, strict=True)])


def _status(found: DeploymentStatus, open_ones: tuple[int, int], controller: str) -> StatusAnswer:
    """Return a deployment as it is answered, with its open incidents and alerts."""
    clients = [
        ClientAnswer(
            client=item.client,
            revision=item.revision,
            behind=max(found.state.revision - item.revision, 0),
            at=item.at,
        )
        for item in found.clients
    ]
    return StatusAnswer.model_validate(
        {
            **asdict(found.state),
            "frozen_reason": found.frozen_reason,
            "barred": found.barred,
            "clients": clients,
            "open_incidents": open_ones[0],
            "open_alerts": open_ones[1],
            "controller": controller,
        }
    )


def _revision(past: PastRevision) -> RevisionAnswer:
    fields = past.revision.model_dump()
    return RevisionAnswer.model_validate(
        {
            **fields,
            "decision": fields["decision_id"],
            "ended_by_rollback": past.ended_by_rollback,
        }
    )
