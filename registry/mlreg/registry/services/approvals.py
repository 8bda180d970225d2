"""Approvals: second persons who stand behind a promote, or against it.

What always holds: a word is given and taken back under the row lock of its deployment, so that no
promote goes by a word that was just withdrawn; it is about what the deployment and the version are
at that moment; an approver has one standing word on a version at most. A promote that waits is done
by the approval that completes it, in the same transaction, in the name of who asked for it, if
they still may promote; a policy's, in the name of its run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from mlreg.registry.domain.actor import Actor, ActorKind
from mlreg.registry.domain.approvals import (
    ApprovalNotFoundError,
    AskerBarredError,
    DecisionOutdatedError,
    NotYourApprovalError,
    OwnVersionError,
    Verdict,
    Word,
    tally,
)
from mlreg.registry.domain.errors import IntegrityError, RefusedError
from mlreg.registry.domain.oidc import ISSUED
from mlreg.registry.domain.pages import MAX_PAGE, Page, page_of
from mlreg.registry.domain.revisions import AlreadySoError
from mlreg.registry.services import audit, deployments
from mlreg.registry.services.change import Change, ChangedState, lock_present, subject_of
from mlreg.registry.services.promotable import check_accepted, check_promotable
from mlreg.registry.store import approvals as rows
from mlreg.registry.store import issuers, outbox, tokens
from mlreg.registry.store.approvals import Binding, binding_of
from mlreg.registry.store.failpoint import failpoint
from mlreg.registry.store.present import read_present
from mlreg.registry.store.tables import Approval, ApprovalRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.permissions import Role
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.deployments import DeploymentState
    from mlreg.registry.store.present import Candidate
    from mlreg.registry.store.tables import Token

Cause = Literal["promote", "policy"]
_ACTIONS: dict[Verdict, str] = {"approved": "approval.given", "rejected": "approval.rejected"}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an approver has to say of a version.

    Attributes:
        decision_id: the decision that they looked at; None is whatever stands behind it now.
    """

    version: int
    verdict: Verdict
    decision_id: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A word, what is still lacking, and what came of it.

    Attributes:
        holds: it is about what is now, and was not withdrawn.
        counted: how many approvals the version has now, for whoever promotes it.
        promoted: the deployment, when this word completed a promote that waited.
        notes: what else the approver should know.
    """

    approval: Approval
    holds: bool
    counted: int = 0
    required: int = 0
    promoted: ChangedState | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A promote that waits, and how far it is."""

    request: ApprovalRequest
    holds: bool
    approvers: tuple[str, ...] = ()
    objectors: tuple[str, ...] = ()


def give(
    session: WriteSession,
    change: Change,
    opinion: Opinion,
    *,
    store: ArtifactStore | None = None,
    now: datetime,
) -> Given:
    """Approve a version for a deployment, or reject it; the last approval promotes what waits.

    Raises:
        ModelNotFoundError, VersionNotFoundError, EnvironmentNotFoundError: it is not there.
        OwnVersionError: the approver made the version.
        AlreadySoError: the version serves there, or the approver has said so.
        DecisionOutdatedError: the decision is not what a promote would go by now.
        BlobUnfitError, UnsafeFormatError, VersionBarredError: it could not be promoted anyway.
    """
    present = lock_present(session, change, now, version=opinion.version)
    state = present.state
    candidate = check_promotable(present, opinion.version, store)
    _check_opinion(change, opinion, candidate)
    failpoint("approval.judged")
    approval = _replace_word(session, change, opinion, state, candidate, now)
    body = {**_event(change, approval), "verdict": opinion.verdict}
    outbox.add(session, "approval.given", body, now)
    failpoint("approval.written")
    _audit(session, _ACTIONS[opinion.verdict], change, body, now)
    waiting = rows.find_waiting(session, state.deployment_id, opinion.version)
    counted = tally(
        _words_with(candidate, Word(change.actor.name, opinion.verdict)),
        authors=candidate.authors,
        promoter=waiting.requester if waiting else "",
    )
    required = state.approvals_required
    given = Given(approval, holds=True, counted=len(counted.approvers), required=required)
    if waiting is None or binding_of(waiting) != _binding(candidate):
        return given
    if not counted.suffices(required):
        return given
    return _complete(session, change, waiting, given, now)


def withdraw(
    session: WriteSession, change: Change, number: int, *, for_others: bool, now: datetime
) -> Given:
    """Take a word back; `for_others` lets one who protects the deployment do it for the approver.

    Raises:
        ApprovalNotFoundError: the deployment has none of that number.
        NotYourApprovalError: it is somebody else's.
        AlreadySoError: it was withdrawn before.
    """
    state = lock_present(session, change, now).state
    approval = rows.lock_approval(session, state.deployment_id, number)
    if approval is None:
        raise ApprovalNotFoundError(number=number)
    if approval.approver != change.actor.name and not for_others:
        raise NotYourApprovalError(number=number, approver=approval.approver)
    if approval.withdrawn_at is not None:
        raise AlreadySoError(model=f"approval {number}", state="withdrawn")
    rows.withdraw(session, approval, by=change.actor.name, reason=change.reason, now=now)
    failpoint("approval.withdrawn")
    _audit(session, "approval.withdrawn", change, _event(change, approval), now)
    return Given(approval, holds=False, required=state.approvals_required)


def request(
    session: WriteSession, change: Change, *, version: int, cause: Cause = "promote", now: datetime
) -> Waiting:
    """Have a promote wait for its approvals; the last one does it, in the name of who asks.

    Raises:
        NotAcceptedError: no accepted decision stands behind it. And the rest as `promote`.
        AlreadySoError: it waits already, or no approval is lacking.
    """
    present = lock_present(session, change, now, version=version)
    candidate = check_promotable(present, version, None)
    check_accepted(present.state, candidate)
    counted = tally(candidate.words, authors=candidate.authors, promoter=change.actor.name)
    if counted.suffices(present.state.approvals_required):
        raise AlreadySoError(model=f"{change.model}/{version}", state="free to be promoted")
    deployment_id = present.state.deployment_id
    binding = _binding(candidate)
    waiting = rows.find_waiting(session, deployment_id, version)
    if waiting is not None and binding_of(waiting) == binding:
        raise AlreadySoError(model=f"{change.model}/{version}", state="waiting for approvals")
    rows.end_waiting(session, deployment_id, version=version, outcome="replaced", now=now)
    asked = ApprovalRequest(
        deployment_id=deployment_id,
        version=version,
        **asdict(binding),
        cause=cause,
        requester=change.actor.name,
        requester_kind=change.actor.kind,
        reason=change.reason,
        at=now,
    )
    rows.add(session, asked)
    body = _event(change, asked)
    outbox.add(session, "approval.requested", body, now)
    _audit(session, "approval.requested", change, body, now)
    return Waiting(asked, holds=True, approvers=counted.approvers, objectors=counted.objectors)


def drop_waiting(
    session: WriteSession, model: str, environment: str, *, cause: Cause, now: datetime
) -> None:
    """Have no promote of this cause wait any longer; the caller audits why."""
    state = deployments.find_deployment(session, model, environment)
    if state is not None:
        rows.end_waiting(session, state.deployment_id, cause=cause, outcome="withdrawn", now=now)


def list_given(
    session: ReadSession, state: DeploymentState, *, before: int | None = None, limit: int = 100
) -> Page[Given]:
    """Return a page of the words on versions in a deployment, newest first."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = rows.list_approvals(session, state.deployment_id, before=before, limit=limit + 1)
    now = rows.list_bindings(session, state.deployment_id, {row.version for row in found})
    given = [
        Given(row, row.withdrawn_at is None and now.get(row.version) == binding_of(row))
        for row in found
    ]
    return page_of(given, limit, str(given[:limit][-1].approval.id) if given else "")


def list_waiting(session: ReadSession, state: DeploymentState) -> list[Waiting]:
    """Return the promotes to a deployment that wait for approvals, oldest first."""
    requests = rows.list_waiting(session, state.deployment_id)
    return [_waiting(session, state, row) for row in requests]


def _waiting(session: ReadSession, state: DeploymentState, row: ApprovalRequest) -> Waiting:
    candidate = read_present(session, state.deployment_id, row.version).candidate
    if candidate is None or binding_of(row) != _binding(candidate):
        return Waiting(row, holds=False)
    counted = tally(candidate.words, authors=candidate.authors, promoter=row.requester)
    return Waiting(row, holds=True, approvers=counted.approvers, objectors=counted.objectors)


def _check_opinion(change: Change, opinion: Opinion, candidate: Candidate) -> None:
    """Refuse an approval of one's own version, a word on another decision, and a repetition."""
    who = change.actor.name
    if opinion.verdict == "approved" and who in candidate.authors:
        raise OwnVersionError(model=change.model, version=opinion.version, approver=who)
    if opinion.decision_id not in {None, candidate.decision_id}:
        raise DecisionOutdatedError(
            decision=opinion.decision_id or 0, model=change.model, version=opinion.version
        )
    if Word(who, opinion.verdict) in candidate.words:
        what = f"{change.model}/{opinion.version}"
        raise AlreadySoError(model=what, state=f"{opinion.verdict} by {who}")


def _replace_word(
    session: WriteSession,
    change: Change,
    opinion: Opinion,
    state: DeploymentState,
    candidate: Candidate,
    now: datetime,
) -> Approval:
    """Write a word, and withdraw the one that its approver gave on the version before."""
    who = change.actor.name
    former = rows.find_standing(session, state.deployment_id, opinion.version, who)
    if former is not None:
        rows.withdraw(session, former, by=who, reason=f"now {opinion.verdict}", now=now)
    approval = Approval(
        deployment_id=state.deployment_id,
        version=opinion.version,
        **asdict(_binding(candidate)),
        approver=who,
        verdict=opinion.verdict,
        reason=change.reason,
        at=now,
    )
    rows.add(session, approval)
    return approval


def _complete(
    session: WriteSession, change: Change, waiting: ApprovalRequest, given: Given, now: datetime
) -> Given:
    """Promote what waited for this word, in the name of who asked for it."""
    cause, version = cast("Cause", waiting.cause), waiting.version
    try:
        asker = _asker(session, change.model, waiting)
        asked = Change(change.model, change.environment, asker, waiting.reason)
        with session.begin_nested():
            promoted = deployments.promote(session, asked, version=version, cause=cause, now=now)
    except (RefusedError, IntegrityError) as error:
        return replace(given, notes=(f"It is not promoted yet: {error}",))
    key = waiting.deployment_id
    rows.end_waiting(session, key, version=version, outcome="promoted", now=now)
    return replace(given, promoted=promoted)


def _words_with(candidate: Candidate, word: Word) -> list[Word]:
    return [*(other for other in candidate.words if other.approver != word.approver), word]


def _asker(session: WriteSession, model: str, waiting: ApprovalRequest) -> Actor:
    """Return who asked for a promote that waits, as what they are now.

    A policy's promote stands on the policy, and waits no longer when that is disabled.

    Raises:
        AskerBarredError: a token of theirs was revoked since, or they may not promote the model.
    """
    name, kind = waiting.requester, cast("ActorKind", waiting.requester_kind)
    if waiting.cause == "policy":
        return Actor(name, kind, "controller" if kind == "policy" else "ci")
    held = tokens.list_named(session, name)
    # Which of their tokens asked is not known, so any that was there then and was revoked since
    # counts. Both times are real ones but with a virtual clock, where only the second rule holds.
    if any(t.revoked_at and t.created_at <= waiting.at <= t.revoked_at for t in held):
        raise AskerBarredError(asker=name, problem="had a token revoked since")
    for actor in _standing(session, name, held):
        if actor.may("promote", model):
            return replace(actor, kind=kind)
    raise AskerBarredError(asker=name, problem=f"may no longer promote {model}")


def _standing(session: ReadSession, name: str, held: Sequence[Token]) -> list[Actor]:
    """Return what a principal is by tokens, ended ones too, or by its issuer's trust as of now."""
    if name.startswith(ISSUED):
        trust = issuers.find_issuer(session, name.removeprefix(ISSUED))
        if trust is None:
            return []
        models = None if trust.models is None else frozenset(trust.models)
        return [Actor(name, "service", cast("Role", trust.role), models)]
    grants = tokens.grants_of(session, name)
    return [tokens.actor_of(token, grants) for token in held if token.revoked_at is None]


def _binding(candidate: Candidate) -> Binding:
    return Binding(candidate.manifest_digest, candidate.decision_id, candidate.reign)


def _event(change: Change, row: Approval | ApprovalRequest) -> dict[str, object]:
    return {
        "model": change.model,
        "environment": change.environment,
        "version": row.version,
        "manifest": row.manifest_digest,
        "decision": row.decision_id,
        "reason": change.reason,
        "actor": change.actor.name,
    }


def _audit(
    session: WriteSession, action: str, change: Change, body: dict[str, object], now: datetime
) -> None:
    audit.record(
        session,
        action=action,
        subject=subject_of(change),
        actor=change.actor,
        body=body,
        now=now,
    )
