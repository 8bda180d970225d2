"""Changing what serves: promote, roll back, freeze, unfreeze, fall back.

What always holds: a change is one transaction that takes, in this order, the idempotency key, the
row lock of the deployment, the revision that was expected, the new revision, the outbox message,
the NOTIFY and the audit entry. It commits as a whole or not at all, and repeating it under the
same key changes nothing and gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.digests import digest_of_json
from mlreg.registry.domain.errors import StaleRevisionError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.revisions import (
    AlreadySoError,
    Cause,
    FrozenError,
    NeverChampionError,
    NoDeploymentError,
    NoFormerChampionError,
    NotAcceptedError,
    ReasonRequiredError,
    VersionBarredError,
    find_rollback_target,
)
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import (
    EnvironmentNotFoundError,
    ModelArchivedError,
    ModelNotFoundError,
)
from mlreg.registry.services.fitness import get_fit_candidate
from mlreg.registry.services.idempotency import KeyedRequest, StoredAnswer, begin, keep
from mlreg.registry.store import changes
from mlreg.registry.store import deployments as rows
from mlreg.registry.store.changes import Event
from mlreg.registry.store.deployments import DeploymentState
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.notifications import DEPLOYMENT_CHANNEL
from mlreg.registry.store.tables import Revision, VersionBar

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.changes import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

TOPIC = "deployment.changed"
GUARD_COOLDOWN = timedelta(hours=6)
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
class _Next:
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


def promote(  # noqa: PLR0913 - the promote of the design: each is an option of the command
    session: WriteSession,
    change: Change,
    *,
    version: int,
    force: bool = False,
    decision_id: int | None = None,
    cause: Literal["promote", "policy"] = "promote",
    store: ArtifactStore | None = None,
    now: datetime,
) -> ChangedState:
    """Make a version the champion.

    It needs an accepted decision against the present champion, or a deployment without one;
    `force` skips that and nothing else, needs a reason, and is marked on the revision for ever.
    With `decision_id` it must be that decision, else the newest counts. The store, when given, is
    asked whether every file is still there.

    Raises:
        ModelNotFoundError, VersionNotFoundError, EnvironmentNotFoundError: it is not there.
        StaleRevisionError: the deployment is not at the expected revision.
        NotAcceptedError, FrozenError, VersionBarredError, AlreadySoError: a rule says no.
        BlobUnfitError, UnsafeFormatError: its files may not serve.
    """
    if force and not change.reason.strip():
        raise ReasonRequiredError

    def act(place: Place, state: DeploymentState) -> _Next:
        if state.champion == version:
            raise AlreadySoError(model=change.model, state=f"at version {version}")
        candidate = get_fit_candidate(session, place, state, version, store)
        if candidate.barred:
            raise VersionBarredError(
                model=change.model, version=version, environment=change.environment
            )
        accepted = candidate.verdict == "accepted" and decision_id in {None, candidate.decision_id}
        if state.champion is not None and not accepted and not force:
            raise NotAcceptedError(
                model=change.model,
                version=version,
                champion=state.champion,
                verdict=candidate.verdict,
            )
        return _Next(
            cause,
            version,
            candidate.manifest_digest,
            state.frozen,
            decision_id=candidate.decision_id if accepted else None,
            forced=force,
            notes=_fallback_ended(state),
        )

    asked = {"verb": "promote", "version": version, "force": force, "cause": cause}
    return _change(session, change, asked, act, now)


def rollback(  # noqa: PLR0913 - as above
    session: WriteSession,
    change: Change,
    *,
    to: int | None = None,
    cause: Literal["rollback", "guard"] = "rollback",
    cooldown: timedelta = GUARD_COOLDOWN,
    store: ArtifactStore | None = None,
    now: datetime,
) -> ChangedState:
    """Return to a former champion; no gate is asked, integrity always is.

    A person's rollback freezes automation until `unfreeze`. A guard's bars the version it takes
    down and starts the cooldown.

    Raises:
        NoDeploymentError, ModelNotFoundError, EnvironmentNotFoundError: it is not there.
        NoFormerChampionError: there is nothing to return to.
        NeverChampionError: `to` was never live here.
        StaleRevisionError, FrozenError, AlreadySoError, BlobUnfitError: as in `promote`.
    """

    def act(place: Place, state: DeploymentState) -> _Next:
        target = _rollback_target(session, change, state, to)
        candidate = get_fit_candidate(session, place, state, target, store)
        notes, frozen = _fallback_ended(state), state.frozen
        columns: dict[str, object] = {}
        if cause == "guard":
            columns = {"cooldown_until": now + cooldown}
            notes += (_bar(session, change, state, now),)
        elif change.actor.is_person:
            frozen, columns = True, {"frozen_reason": change.reason or "rolled back by hand"}
            notes += (_frozen_note(change),)
        return _Next(
            cause, target, candidate.manifest_digest, frozen, deployment=columns, notes=notes
        )

    asked = {"verb": "rollback", "to": to, "cause": cause}
    return _change(session, change, asked, act, now)


def freeze(session: WriteSession, change: Change, *, now: datetime) -> ChangedState:
    """Stop automation for a deployment; people can still promote and roll back.

    Raises:
        AlreadySoError: it is frozen. And as in `promote`.
    """

    def act(_place: Place, state: DeploymentState) -> _Next:
        if state.frozen:
            raise AlreadySoError(model=change.model, state="frozen")
        return _as_is(state, "freeze", frozen=True, frozen_reason=change.reason or "frozen by hand")

    return _change(session, change, {"verb": "freeze"}, act, now)


def unfreeze(session: WriteSession, change: Change, *, now: datetime) -> ChangedState:
    """Let automation go on.

    Raises:
        AlreadySoError: it is not frozen. And as in `promote`.
    """

    def act(_place: Place, state: DeploymentState) -> _Next:
        if not state.frozen:
            raise AlreadySoError(model=change.model, state="not frozen")
        return _as_is(state, "unfreeze", frozen=False, frozen_reason=None)

    return _change(session, change, {"verb": "unfreeze"}, act, now)


def fall_back(
    session: WriteSession, change: Change, *, fallback: str | None, now: datetime
) -> ChangedState:
    """Have clients serve a fallback of their own by this name; None returns to the champion.

    Raises:
        AlreadySoError: it is so. And as in `promote`.
    """

    def act(_place: Place, state: DeploymentState) -> _Next:
        if state.fallback == fallback:
            raise AlreadySoError(model=change.model, state=f"on fallback {fallback or 'off'}")
        return replace(_as_is(state, "fallback", frozen=state.frozen), fallback=fallback)

    return _change(session, change, {"verb": "fallback", "fallback": fallback}, act, now)


def lift_bar(session: WriteSession, change: Change, *, version: int, now: datetime) -> None:
    """Let a version that a guard took down be promoted here again.

    Raises:
        AlreadySoError: it is not barred.
        NoDeploymentError, ModelNotFoundError, EnvironmentNotFoundError: it is not there.
    """
    deployment_id = _get_place(session, change).deployment_id
    if deployment_id is None:
        raise NoDeploymentError(model=change.model, environment=change.environment)
    if not rows.lift_bars(session, deployment_id, version, by=change.actor.name, now=now):
        raise AlreadySoError(model=f"{change.model}/{version}", state="free of bars")
    body = {"version": version, "reason": change.reason}
    audit.record(
        session,
        action="deployment.unbar",
        subject=_subject(change),
        actor=change.actor,
        body=body,
        now=now,
    )


def find_deployment(session: ReadSession, model: str, environment: str) -> DeploymentState | None:
    """Return what serves a model in an environment, or None when nothing was ever deployed."""
    return rows.find_state(session, model, environment)


def get_deployment(session: ReadSession, model: str, environment: str) -> DeploymentState:
    """Return what serves a model in an environment.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError, NoDeploymentError: it is not there.
    """
    state = rows.find_state(session, model, environment)
    if state is None:
        _get_place(session, Change(model, environment, Actor("", "system", "viewer")))
        raise NoDeploymentError(model=model, environment=environment)
    return state


def lock_deployment(session: WriteSession, deployment_id: int) -> DeploymentState:
    """Lock a deployment until the transaction ends, and return what it is."""
    changes.lock_row(session, deployment_id)
    return rows.get_state(session, deployment_id)


def is_barred(session: ReadSession, deployment_id: int, version: int) -> bool:
    """Say whether a guard took this version down here, and nobody lifted the bar."""
    return version in rows.list_all_barred(session, [deployment_id]).get(deployment_id, ())


def previous_champion(session: ReadSession, deployment_id: int) -> int | None:
    """Return where a rollback would lead now: the last champion not itself rolled back, or None."""
    current = rows.get_state(session, deployment_id).champion
    return find_rollback_target(rows.walk_facts(session, deployment_id), current)


def _change(
    session: WriteSession,
    change: Change,
    asked: Mapping[str, object],
    act: Callable[[Place, DeploymentState], _Next],
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


def _lock(session: WriteSession, change: Change, now: datetime) -> tuple[Place, DeploymentState]:
    place = _get_place(session, change)
    if place.archived:
        raise ModelArchivedError(model=change.model)
    if place.deployment_id is None:
        changes.create_row(session, place.model_id, change.environment, now)
        place = _get_place(session, change)
    state = lock_deployment(session, place.deployment_id or 0)
    stale = change.expected is not None and change.expected != state.revision
    if stale or change.incarnation not in {None, state.incarnation}:
        raise StaleRevisionError(expected=change.expected or 0, current=plain_state(state))
    return place, state


def _get_place(session: ReadSession, change: Change) -> Place:
    checked_name(change.environment, kind="environment")
    place = changes.find_place(session, checked_name(change.model), change.environment)
    if place is None:
        raise ModelNotFoundError(model=change.model)
    if place.environment is None:
        raise EnvironmentNotFoundError(environment=change.environment)
    return place


def _write(
    session: WriteSession, change: Change, state: DeploymentState, following: _Next, now: datetime
) -> ChangedState:
    revision = Revision(
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
    columns = following.deployment or {}
    body = _event(change, state, revision)
    changes.add_revision(session, revision, Event(TOPIC, body, DEPLOYMENT_CHANNEL))
    if columns:
        changes.set_columns(session, state.deployment_id, columns)
    failpoint("change.revised")
    audit.record(
        session,
        action=f"deployment.{following.cause}",
        subject=_subject(change),
        actor=change.actor,
        body=body,
        now=now,
    )
    present = {
        "revision": revision.number,
        "champion": revision.champion,
        "champion_digest": following.digest,
        "candidates": [],
        "fallback": revision.fallback,
        "frozen": revision.frozen,
        "at": now,
        **{name: value for name, value in columns.items() if name == "cooldown_until"},
    }
    return ChangedState(
        **{**asdict(state), **present}, previous=state.champion, notes=following.notes
    )


def _rollback_target(
    session: WriteSession, change: Change, state: DeploymentState, to: int | None
) -> int:
    if state.revision == 0:
        raise NoDeploymentError(model=change.model, environment=change.environment)
    if to is None:
        target = find_rollback_target(rows.walk_facts(session, state.deployment_id), state.champion)
        if target is None:
            raise NoFormerChampionError(model=change.model, environment=change.environment)
        return target
    if to == state.champion:
        raise AlreadySoError(model=change.model, state=f"at version {to}")
    if not rows.was_champion(session, state.deployment_id, to):
        raise NeverChampionError(model=change.model, version=to, environment=change.environment)
    return to


def _bar(session: WriteSession, change: Change, state: DeploymentState, now: datetime) -> str:
    version = state.champion or 0
    rows.add_bar(
        session,
        VersionBar(
            deployment_id=state.deployment_id,
            version=version,
            reason=change.reason,
            actor=change.actor.name,
            at=now,
        ),
    )
    return f"{change.model}/{version} is barred until a person lifts it (`mlreg unbar`)."


def _as_is(state: DeploymentState, cause: Cause, *, frozen: bool, **columns: object) -> _Next:
    return _Next(
        cause,
        state.champion,
        state.champion_digest,
        frozen,
        fallback=state.fallback,
        deployment=columns,
    )


def _fallback_ended(state: DeploymentState) -> tuple[str, ...]:
    return (f"The fallback {state.fallback!r} ends with this.",) if state.fallback else ()


def _frozen_note(change: Change) -> str:
    where = "" if change.environment == "production" else f" --env {change.environment}"
    return (
        "Automation is frozen for this deployment until "
        f"`mlreg unfreeze {change.model}{where}`; people can still promote and roll back."
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


def _subject(change: Change) -> str:
    return f"deployment:{change.model}:{change.environment}"


def plain_state(state: DeploymentState) -> dict[str, Any]:
    """Return a state as plain JSON."""
    return {
        **asdict(state),
        "at": state.at.isoformat(),
        "cooldown_until": state.cooldown_until and state.cooldown_until.isoformat(),
    }
