"""Changing what serves: promote, roll back, freeze, unfreeze, fall back; and protecting it.

What always holds: every verb looks at the deployment under its row lock, asks the rules of
`domain/revisions.py`, and leaves the rest to the one transaction of `change.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.revisions import (
    AlreadySoError,
    Cause,
    NeverChampionError,
    NoDeploymentError,
    NoFormerChampionError,
    ReasonRequiredError,
    find_rollback_target,
)
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import VersionNotFoundError
from mlreg.registry.services.change import (
    Change,
    ChangedState,
    NextRevision,
    change_once,
    get_place,
    lock_deployment,
    plain_state,
    subject_of,
)
from mlreg.registry.services.fitness import check_fit
from mlreg.registry.services.promotable import (
    check_accepted,
    check_approved,
    check_promotable,
    is_accepted,
)
from mlreg.registry.store import deployments as rows
from mlreg.registry.store.deployments import DeploymentState
from mlreg.registry.store.present import read_present
from mlreg.registry.store.tables import VersionBar
from mlreg.registry.store.versions import find_version_row

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.present import Present

__all__ = [
    "Change",
    "ChangedState",
    "DeploymentState",
    "fall_back",
    "find_deployment",
    "freeze",
    "get_deployment",
    "lift_bar",
    "lock_deployment",
    "plain_state",
    "previous_champion",
    "promote",
    "protect",
    "rollback",
    "unfreeze",
]
GUARD_COOLDOWN = timedelta(hours=6)


def promote(  # noqa: PLR0913 - the promote of the design: each is an option of the command
    session: WriteSession,
    change: Change,
    *,
    version: int,
    force: bool = False,
    break_glass: bool = False,
    decision_id: int | None = None,
    cause: Literal["promote", "policy"] = "promote",
    store: ArtifactStore | None = None,
    now: datetime,
) -> ChangedState:
    """Make a version the champion.

    It needs an accepted decision against the present champion, or a deployment without one; `force`
    skips that and nothing else. It needs the approvals that the deployment asks for; `break_glass`
    skips those and nothing else. Both need a reason and are marked on the revision for ever. With
    `decision_id` it must be that decision, else the newest counts. The store, when given, is asked
    whether every file is still there.

    Raises:
        ModelNotFoundError, VersionNotFoundError, EnvironmentNotFoundError: it is not there.
        StaleRevisionError: the deployment is not at the expected revision.
        NotAcceptedError, FrozenError, VersionBarredError, AlreadySoError: a rule says no.
        ApprovalRequiredError, ApprovalRejectedError: approvers do not stand behind it.
        BlobUnfitError, UnsafeFormatError, StoreSilentError: its files may not serve.
    """
    if (force or break_glass) and not change.reason.strip():
        raise ReasonRequiredError

    def act(present: Present) -> NextRevision:
        state = present.state
        candidate = check_promotable(present, version, store)
        if not force:
            check_accepted(state, candidate, decision_id)
        approved = check_approved(state, candidate, change.actor, break_glass=break_glass)
        return NextRevision(
            cause,
            version,
            candidate.manifest_digest,
            state.frozen,
            decision_id=candidate.decision_id if is_accepted(candidate, decision_id) else None,
            forced=force,
            approvers=approved.approvers,
            broke_glass=approved.broke_glass,
            notes=_fallback_ended(state) + approved.notes,
        )

    asked = {"verb": "promote", "version": version, "force": force, "cause": cause}
    if break_glass:
        asked["break_glass"] = True
    return change_once(session, change, asked, act, now, version=version)


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

    def act(present: Present) -> NextRevision:
        state = present.state
        target = _rollback_target(session, change, state, to)
        found = read_present(session, state.deployment_id, target).candidate
        candidate = check_fit(found, state.model, target, store, store_may_be_silent=True)
        notes, frozen = _fallback_ended(state), state.frozen
        columns: dict[str, object] = {}
        if cause == "guard":
            columns = {"cooldown_until": now + cooldown}
            notes += (_bar(session, change, state, now),)
        elif change.actor.is_person:
            frozen, columns = True, {"frozen_reason": change.reason or "rolled back by hand"}
            notes += (_frozen_note(change),)
        return NextRevision(
            cause, target, candidate.manifest_digest, frozen, deployment=columns, notes=notes
        )

    asked = {"verb": "rollback", "to": to, "cause": cause}
    return change_once(session, change, asked, act, now)


def freeze(session: WriteSession, change: Change, *, now: datetime) -> ChangedState:
    """Stop automation for a deployment; people can still promote and roll back.

    Raises:
        AlreadySoError: it is frozen. And as in `promote`.
    """

    def act(present: Present) -> NextRevision:
        if present.state.frozen:
            raise AlreadySoError(model=change.model, state="frozen")
        reason = change.reason or "frozen by hand"
        return _as_is(present.state, "freeze", frozen=True, frozen_reason=reason)

    return change_once(session, change, {"verb": "freeze"}, act, now)


def unfreeze(session: WriteSession, change: Change, *, now: datetime) -> ChangedState:
    """Let automation go on.

    Raises:
        AlreadySoError: it is not frozen. And as in `promote`.
    """

    def act(present: Present) -> NextRevision:
        if not present.state.frozen:
            raise AlreadySoError(model=change.model, state="not frozen")
        return _as_is(present.state, "unfreeze", frozen=False, frozen_reason=None)

    return change_once(session, change, {"verb": "unfreeze"}, act, now)


def fall_back(
    session: WriteSession, change: Change, *, fallback: str | None, now: datetime
) -> ChangedState:
    """Have clients serve a fallback of their own by this name; None returns to the champion.

    Raises:
        AlreadySoError: it is so. And as in `promote`.
    """

    def act(present: Present) -> NextRevision:
        state = present.state
        if state.fallback == fallback:
            raise AlreadySoError(model=change.model, state=_fallen_back(fallback))
        return replace(_as_is(state, "fallback", frozen=state.frozen), fallback=fallback)

    return change_once(session, change, {"verb": "fallback", "fallback": fallback}, act, now)


def protect(
    session: WriteSession, change: Change, *, approvals: int, now: datetime
) -> ChangedState:
    """Ask for so many approvals before every promote to a deployment; 0 asks for none.

    Raises:
        AlreadySoError: it does. And as in `promote`.
    """

    def act(present: Present) -> NextRevision:
        state = present.state
        if state.approvals_required == approvals:
            raise AlreadySoError(model=change.model, state=f"asking for {approvals} approvals")
        return _as_is(state, "protect", frozen=state.frozen, approvals_required=approvals)

    return change_once(session, change, {"verb": "protect", "approvals": approvals}, act, now)


def lift_bar(session: WriteSession, change: Change, *, version: int, now: datetime) -> None:
    """Let a version that a guard took down be promoted here again.

    Raises:
        AlreadySoError: it is not barred.
        NoDeploymentError, ModelNotFoundError, EnvironmentNotFoundError, VersionNotFoundError: it
            is not there.
    """
    place = get_place(session, change)
    if place.deployment_id is None:
        raise NoDeploymentError(model=change.model, environment=change.environment)
    if find_version_row(session, place.model_id, version) is None:
        raise VersionNotFoundError(model=change.model, number=version)
    if not rows.lift_bars(session, place.deployment_id, version, by=change.actor.name, now=now):
        raise AlreadySoError(model=f"{change.model}/{version}", state="free of bars")
    body = {"version": version, "reason": change.reason}
    audit.record(
        session,
        action="deployment.unbar",
        subject=subject_of(change),
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
        get_place(session, Change(model, environment, Actor("", "system", "viewer")))
        raise NoDeploymentError(model=model, environment=environment)
    return state


def previous_champion(session: ReadSession, deployment_id: int) -> int | None:
    """Return where a rollback would lead now: the last champion not itself rolled back, or None."""
    current = rows.get_state(session, deployment_id).champion
    gone = rows.deleted_versions(session, deployment_id)
    return find_rollback_target(rows.walk_facts(session, deployment_id), current, gone=gone)


def _rollback_target(
    session: WriteSession, change: Change, state: DeploymentState, to: int | None
) -> int:
    if state.revision == 0:
        raise NoDeploymentError(model=change.model, environment=change.environment)
    if to is None:
        target = find_rollback_target(
            rows.walk_facts(session, state.deployment_id),
            state.champion,
            gone=rows.deleted_versions(session, state.deployment_id),
        )
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


def _as_is(
    state: DeploymentState, cause: Cause, *, frozen: bool, **columns: object
) -> NextRevision:
    return NextRevision(
        cause,
        state.champion,
        state.champion_digest,
        frozen,
        fallback=state.fallback,
        deployment=columns,
    )


def _fallen_back(fallback: str | None) -> str:
    return f"on fallback {fallback!r}" if fallback else "without a fallback"


def _fallback_ended(state: DeploymentState) -> tuple[str, ...]:
    return (f"The fallback {state.fallback!r} ends with this.",) if state.fallback else ()


def _frozen_note(change: Change) -> str:
    where = "" if change.environment == "production" else f" --env {change.environment}"
    return (
        "Automation is frozen for this deployment until "
        f"`mlreg unfreeze {change.model}{where}`; people can still promote and roll back."
    )
