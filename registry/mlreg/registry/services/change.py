"""A change of a deployment as one transaction.

What always holds: it takes, in this order, the row lock of the deployment, the answer that its
idempotency key was given before, the revision that was expected, the new revision with its outbox
message, its NOTIFY and its answer, and the audit entry. It commits as a whole or not at all, and
repeating it under the same key changes nothing and gives the same answer: requests under one key
are about one deployment, and wait for each other at its lock. What is to be changed,
`deployments.py` decides.

A promote waits for PostgreSQL twice: for the lock with what it reads, and for what it writes with
the audit entry and the COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.digests import digest_of_json
from mlreg.registry.domain.errors import StaleRevisionError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.revisions import Cause, FrozenError, NoDeploymentError
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import (
    EnvironmentNotFoundError,
    ModelArchivedError,
    ModelNotFoundError,
)
from mlreg.registry.services.idempotency import (
    KeyedRequest,
    StoredAnswer,
    checked_answer,
)
from mlreg.registry.store import changes, outbox
from mlreg.registry.store import deployments as rows
from mlreg.registry.store.changes import Event, KeptAnswer
from mlreg.registry.store.deployments import DeploymentState
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.notifications import DEPLOYMENT_CHANNEL
from mlreg.registry.store.present import Present, read_present
from mlreg.registry.store.tables import Revision

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.changes import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

TOPIC = "deployment.changed"
BROKEN_GLASS = "deployment.break_glass"
_OK = 200


@dataclass(frozen=True, slots=True)
class Change:
    """Who wants which deployment changed, and what they believe it is.

    Attributes:
        expected: the revision that the caller read; None takes whatever it is.
        incarnation: the installation in which it was read; None takes any.
        idempotency_key: a repeated change under one key is done once.
    """

    model: str
    environment: str
    actor: Actor
    reason: str = ""
    expected: int | None = None
    idempotency_key: str | None = None
    incarnation: str | None = None


@dataclass(frozen=True, slots=True)
class ChangedState(DeploymentState):
    """A deployment after a change.

    Attributes:
        previous: the champion before it.
        approvers: whose approval it stood on.
        broke_glass: it went without the approvals that were asked for.
        notes: what else the person who did it should know.
    """

    previous: int | None = None
    approvers: tuple[str, ...] = ()
    broke_glass: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextRevision:
    """The revision to be written, where it differs from the present one."""

    cause: Cause
    champion: int | None
    digest: str | None
    frozen: bool
    fallback: str | None = None
    decision_id: int | None = None
    forced: bool = False
    approvers: tuple[str, ...] = ()
    broke_glass: bool = False
    deployment: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()


_STORED = TypeAdapter(ChangedState)


def change_once(
    session: WriteSession,
    change: Change,
    asked: Mapping[str, object],
    act: Callable[[Present], NextRevision],
    now: datetime,
    *,
    version: int | None = None,
) -> ChangedState:
    """Do a change of a deployment once: the transaction that the module speaks of.

    Args:
        session: its transaction.
        change: where, by whom, why, from which revision on.
        asked: what the verb was asked; a repeated key must ask the same.
        act: looks at what is under the lock and says what is to follow, or refuses.
        now: business time.
        version: the version that `act` wants to look at.
    """
    request = _keyed_request(change, asked)
    key = None if request is None else (request.actor, request.key)
    present = changes.lock_and_read(session, (change.model, change.environment), version, key)
    if present is None:
        made = _make_place(session, change, now)
        present = read_present(session, made.deployment_id or 0, version, key)
    failpoint("change.locked")
    if request is not None and present.answered is not None:
        answered = present.answered
        stored = StoredAnswer(answered.status, answered.body)
        return _STORED.validate_json(checked_answer(request, answered.digest, stored).body)
    check_expected(change, present.state)
    following = act(present)
    failpoint("change.judged")
    if following.cause in {"policy", "guard"} and present.state.frozen:
        raise FrozenError(model=change.model, environment=change.environment)
    return _write(session, change, request, present.state, following, now)


def lock_present(
    session: WriteSession, change: Change, now: datetime, *, version: int | None = None
) -> Present:
    """Lock a deployment, made if it was not there, and return what it is.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError, ModelArchivedError: it cannot be there.
        StaleRevisionError: it is not at the revision that was expected.
    """
    present = read_present(session, _lock(session, change, now), version)
    check_expected(change, present.state)
    return present


def lock_deployment(session: WriteSession, deployment_id: int) -> DeploymentState:
    """Lock a deployment until the transaction ends, and return what it is."""
    changes.lock_row(session, deployment_id)
    return rows.get_state(session, deployment_id)


def get_place(session: ReadSession, change: Change) -> Place:
    """Return the keys of what a change is about.

    Raises:
        InvalidNameError, ModelNotFoundError, EnvironmentNotFoundError: it is not there.
    """
    checked_name(change.environment, kind="environment")
    place = changes.find_place(session, checked_name(change.model), change.environment)
    if place is None:
        raise ModelNotFoundError(model=change.model)
    if place.environment is None:
        raise EnvironmentNotFoundError(environment=change.environment)
    return place


def plain_state(state: DeploymentState) -> dict[str, Any]:
    """Return a state as plain JSON."""
    return {
        **asdict(state),
        "at": state.at.isoformat(),
        "cooldown_until": state.cooldown_until and state.cooldown_until.isoformat(),
    }


def subject_of(change: Change) -> str:
    """Return the deployment's name in the audit log."""
    return f"deployment:{change.model}:{change.environment}"


def check_expected(change: Change, state: DeploymentState) -> None:
    """Compare what the caller read with what is.

    Raises:
        StaleRevisionError: they differ.
    """
    stale = change.expected is not None and change.expected != state.revision
    if stale or change.incarnation not in {None, state.incarnation}:
        raise StaleRevisionError(expected=change.expected or 0, current=plain_state(state))


def _lock(session: WriteSession, change: Change, now: datetime) -> int:
    place = changes.lock_place(session, change.model, change.environment)
    if place is None:
        place = _make_place(session, change, now)
    return place.deployment_id or 0


def _make_place(session: WriteSession, change: Change, now: datetime) -> Place:
    """Make the deployment of a first change, unless somebody else just has, and lock it."""
    place = get_place(session, change)
    if place.archived:
        raise ModelArchivedError(model=change.model)
    if place.deployment_id is None:
        changes.create_row(session, place.model_id, change.environment, now)
    locked = changes.lock_place(session, change.model, change.environment)
    if locked is None:
        raise NoDeploymentError(model=change.model, environment=change.environment)
    return locked


def _write(
    session: WriteSession,
    change: Change,
    request: KeyedRequest | None,
    state: DeploymentState,
    following: NextRevision,
    now: datetime,
) -> ChangedState:
    revision = _revision(change, state, following, now)
    changed = _changed(state, revision, following)
    body = _event(change, changed, revision)
    event = Event(TOPIC, body, DEPLOYMENT_CHANNEL)
    changes.add_revision(session, revision, event, _kept(request, changed))
    if following.deployment:
        changes.set_columns(session, state.deployment_id, following.deployment)
    if following.broke_glass:
        outbox.add(session, BROKEN_GLASS, {**body, "version": revision.champion}, now)
    failpoint("change.revised")
    audit.record(
        session,
        action=BROKEN_GLASS if following.broke_glass else f"deployment.{following.cause}",
        subject=subject_of(change),
        actor=change.actor,
        body=body,
        now=now,
    )
    failpoint("change.audited")
    return changed


def _kept(request: KeyedRequest | None, changed: ChangedState) -> KeptAnswer | None:
    if request is None:
        return None
    answer = _STORED.dump_json(changed).decode()
    return KeptAnswer(request.actor, request.key, request.digest, _OK, answer)


def _revision(
    change: Change, state: DeploymentState, following: NextRevision, now: datetime
) -> Revision:
    return Revision(
        deployment_id=state.deployment_id,
        number=state.revision + 1,
        champion=following.champion,
        candidates=[],
        fallback=following.fallback,
        frozen=following.frozen,
        cause=following.cause,
        actor=change.actor.name,
        reason=change.reason,
        forced=following.forced,
        decision_id=following.decision_id,
        approvers=list(following.approvers),
        broke_glass=following.broke_glass,
        at=now,
    )


def _changed(state: DeploymentState, revision: Revision, following: NextRevision) -> ChangedState:
    """Return what a deployment is after the revision, without asking the database again."""
    columns = following.deployment or {}
    present = {
        "revision": revision.number,
        "champion": revision.champion,
        "champion_digest": following.digest,
        "candidates": [],
        "fallback": revision.fallback,
        "frozen": revision.frozen,
        "at": revision.at,
        "cooldown_until": columns.get("cooldown_until", state.cooldown_until),
        "approvals_required": columns.get("approvals_required", state.approvals_required),
    }
    return ChangedState(
        **{**asdict(state), **present},
        previous=state.champion,
        approvers=following.approvers,
        broke_glass=following.broke_glass,
        notes=following.notes,
    )


def _keyed_request(change: Change, asked: Mapping[str, object]) -> KeyedRequest | None:
    if change.idempotency_key is None:
        return None
    content = {
        **asked,
        "model": change.model,
        "environment": change.environment,
        "reason": change.reason,
        "expected": change.expected,
    }
    return KeyedRequest(change.actor.name, change.idempotency_key, digest_of_json(content))


def _event(change: Change, changed: ChangedState, revision: Revision) -> dict[str, Any]:
    return {
        "model": change.model,
        "environment": change.environment,
        "revision": revision.number,
        "champion": revision.champion,
        "previous": changed.previous,
        "cause": revision.cause,
        "frozen": revision.frozen,
        "fallback": revision.fallback,
        "forced": revision.forced,
        "decision": revision.decision_id,
        "approvals_required": changed.approvals_required,
        "approvers": revision.approvers,
        "broke_glass": revision.broke_glass,
        "reason": revision.reason,
        "actor": change.actor.name,
    }
