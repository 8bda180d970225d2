"""What stands between a version and its promote: its files, its past, a decision, and approvers.

What always holds: each check looks at the deployment as its row lock shows it; what a person may
skip (`force`, `break_glass`) is skipped by who calls, and integrity never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.approvals import (
    ApprovalRejectedError,
    ApprovalRequiredError,
    Tally,
    tally,
)
from mlreg.registry.domain.retirement import VersionArchivedError
from mlreg.registry.domain.revisions import (
    AlreadySoError,
    NotAcceptedError,
    VersionBarredError,
)
from mlreg.registry.services.catalog import ModelArchivedError
from mlreg.registry.services.fitness import check_fit

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.deployments import DeploymentState
    from mlreg.registry.store.present import Candidate, Present


@dataclass(frozen=True, slots=True)
class Approved:
    """Who stands behind a promote, and what is to be said of it.

    Attributes:
        broke_glass: whether it goes without approvals that it needs.
    """

    approvers: tuple[str, ...]
    broke_glass: bool
    notes: tuple[str, ...]


def check_promotable(present: Present, version: int, store: ArtifactStore | None) -> Candidate:
    """Return the version that is wanted, if neither its files nor its past stand against it.

    Raises:
        AlreadySoError: it is the champion.
        VersionNotFoundError, ModelArchivedError, VersionArchivedError: it is not there any more.
        VersionBarredError: a guard took it down here.
        BlobUnfitError, UnsafeFormatError, StoreSilentError: its files may not serve.
    """
    state = present.state
    if state.champion == version:
        raise AlreadySoError(model=state.model, state=f"at version {version}")
    candidate = check_fit(present.candidate, state.model, version, store)
    if candidate.model_archived:
        raise ModelArchivedError(model=state.model)
    if candidate.archived:
        raise VersionArchivedError(model=state.model, version=version)
    if candidate.barred:
        raise VersionBarredError(model=state.model, version=version, environment=state.environment)
    return candidate


def check_accepted(
    state: DeploymentState, candidate: Candidate, decision_id: int | None = None
) -> None:
    """Let a version pass that an accepted decision stands behind, or that nothing serves before.

    Raises:
        NotAcceptedError: it is not so.
    """
    if state.champion is not None and not is_accepted(candidate, decision_id):
        raise NotAcceptedError(
            model=state.model,
            version=candidate.number,
            champion=state.champion,
            verdict=candidate.verdict,
        )


def is_accepted(candidate: Candidate, decision_id: int | None) -> bool:
    """Whether an accepted decision stands behind a version: the newest, or this one."""
    return candidate.verdict == "accepted" and decision_id in {None, candidate.decision_id}


def check_approved(
    state: DeploymentState, candidate: Candidate, promoter: Actor, *, break_glass: bool
) -> Approved:
    """Let a promote pass that enough approvers stand behind, and nobody against.

    Breaking the glass lets any pass; where the approvals are there it stays whole.

    Raises:
        ApprovalRejectedError, ApprovalRequiredError: it is not so.
    """
    counted = tally(candidate.words, authors=candidate.authors, promoter=promoter.name)
    broken = break_glass and not counted.suffices(state.approvals_required)
    if not broken:
        _check_tally(state, candidate.number, counted)
    return Approved(counted.approvers, broken, _glass_note(asked=break_glass, broken=broken))


def _check_tally(state: DeploymentState, version: int, counted: Tally) -> None:
    if counted.objectors:
        raise ApprovalRejectedError(
            model=state.model,
            version=version,
            environment=state.environment,
            objectors=counted.objectors,
        )
    if not counted.suffices(state.approvals_required):
        raise ApprovalRequiredError(
            model=state.model,
            version=version,
            environment=state.environment,
            given=len(counted.approvers),
            required=state.approvals_required,
        )


def _glass_note(*, asked: bool, broken: bool) -> tuple[str, ...]:
    if not asked:
        return ()
    if broken:
        return ("The glass is broken: this promote went without the approvals that it needs.",)
    return ("The glass was left whole: the approvals that it needs are there.",)
