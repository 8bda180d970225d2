"""A change of a deployment as one transaction.

What always holds: it takes, in this order, the idempotency key, the row lock of the deployment,
the revision that was expected, the new revision with its outbox message and NOTIFY, and the audit
entry. It commits as a whole or not at all, and repeating it under the same key changes nothing and
gives the same answer. What is to be changed, `deployments.py` decides.
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
from mlreg.registry.services.idempotency import KeyedRequest, StoredAnswer, begin, keep
from mlreg.registry.store import changes
from mlreg.registry.store import deployments as rows
from mlreg.registry.store.changes import Event
from mlreg.registry.store.deployments import DeploymentState
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.notifications import DEPLOYMENT_CHANNEL
from mlreg.registry.store.tables import Revision

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.changes import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

TOPIC = "deployment.changed"
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
        notes: what else the person who did it should know.
    """

    previous: int | None = None
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
    deployment: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()


_STORED = TypeAdapter(ChangedState)


def change_once(
    session: WriteSession,
    change: Change,
    asked: Mapping[str, object],
    act: Callable[[Place, DeploymentState], NextRevision],
    now: datetime,
) -> ChangedState:
    """Do a change of a deployment once: the transaction that the module speaks of."""
    request = _keyed_request(change, asked)
    if request is not None:
        stored = begin(session, request, now)
        if stored is not None:
            return _STORED.validate_json(stored.body)
    failpoint("change.keyed")
    place, state = _lock(session, change, now)
    failpoint("change.locked")
    following = act(place, state)
    failpoint("change.judged")
    if following.cause in {"policy", "guard"} and state.frozen:
        raise FrozenError(model=change.model, environment=change.environment)
    changed = _write(session, change, state, following, now)
    if request is not None:
        keep(session, request, StoredAnswer(_OK, _STORED.dump_json(changed).decode()))
    failpoint("change.answered")
    return changed


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


def _lock(session: WriteSession, change: Change, now: datetime) -> tuple[Place, DeploymentState]:
    place = changes.lock_place(session, change.model, change.environment)
    if place is None:
        place = _make_place(session, change, now)
    state = rows.get_state(session, place.deployment_id or 0)
    stale = change.expected is not None and change.expected != state.revision
    if stale or change.incarnation not in {None, state.incarnation}:
        raise StaleRevisionError(expected=change.expected or 0, current=plain_state(state))
    return place, state


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
    state: DeploymentState,
    following: NextRevision,
    now: datetime,
) -> ChangedState:
    revision = _revision(change, state, following, now)
    body = _event(change, state, revision)
    changes.add_revision(session, revision, Event(TOPIC, body, DEPLOYMENT_CHANNEL))
    if following.deployment:
        changes.set_columns(session, state.deployment_id, following.deployment)
    failpoint("change.revised")
    audit.record(
        session,
        action=f"deployment.{following.cause}",
        subject=subject_of(change),
        actor=change.actor,
        body=body,
        now=now,
    )
    return _changed(state, revision, following)


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
    }
    return ChangedState(
        **{**asdict(state), **present}, previous=state.champion, notes=following.notes
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


def _event(change: Change, state: DeploymentState, revision: Revision) -> dict[str, Any]:
    return {
        "model": change.model,
        "environment": change.environment,
        "revision": revision.number,
        "champion": revision.champion,
        "previous": state.champion,
        "cause": revision.cause,
        "frozen": revision.frozen,
        "fallback": revision.fallback,
        "forced": revision.forced,
        "decision": revision.decision_id,
        "reason": revision.reason,
        "actor": change.actor.name,
    }
