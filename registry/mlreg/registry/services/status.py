"""Reading deployments: what is live, who is behind, and all that ever was."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.revisions import list_ended_by_rollback
from mlreg.registry.services.catalog import get_model
from mlreg.registry.services.deployments import get_deployment
from mlreg.registry.store import deployments as rows
from mlreg.registry.store.deployments import DeploymentState
from mlreg.registry.store.tables import Acknowledgement, Revision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

MAX_HISTORY = 1_000
MAX_CLIENTS = 1_000


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """A deployment, why it is frozen, what is barred from it, and what each client serves."""

    state: DeploymentState
    frozen_reason: str | None
    barred: tuple[int, ...]
    clients: tuple[Acknowledgement, ...]


@dataclass(frozen=True, slots=True)
class PastRevision:
    """A revision, and whether a rollback took its champion down."""

    revision: Revision
    ended_by_rollback: bool


def list_status(session: ReadSession, model: str | None = None) -> list[DeploymentStatus]:
    """Return every deployment, or those of one model.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    if model is not None:
        get_model(session, model)
    states = [item for item in rows.load_states(session) if model in {None, item.model}]
    keys = [state.deployment_id for state in states]
    clients = defaultdict(list)
    for acknowledgement in rows.list_acknowledgements(session, keys):
        clients[acknowledgement.deployment_id].append(acknowledgement)
    reasons = rows.list_frozen_reasons(session, keys)
    barred = rows.list_all_barred(session, keys)
    return [
        DeploymentStatus(
            state,
            reasons.get(state.deployment_id),
            tuple(barred.get(state.deployment_id, ())),
            tuple(clients[state.deployment_id]),
        )
        for state in states
    ]


def list_history(
    session: ReadSession,
    model: str,
    environment: str,
    *,
    before: int | None = None,
    limit: int = 100,
) -> Sequence[PastRevision]:
    """Return revisions, newest first.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError, NoDeploymentError: it is not there.
    """
    state = get_deployment(session, model, environment)
    ended = set(list_ended_by_rollback(rows.walk_facts(session, state.deployment_id)))
    found = rows.list_revisions(
        session, state.deployment_id, before=before, limit=min(max(limit, 1), MAX_HISTORY)
    )
    return [PastRevision(revision, revision.number in ended) for revision in found]


def acknowledge(
    session: WriteSession,
    model: str,
    environment: str,
    *,
    client: str,
    revision: int,
    now: datetime,
) -> DeploymentState:
    """Write which revision a client serves now; return the present state.

    Of a deployment's clients, those are remembered that spoke last, `MAX_CLIENTS` of them.

    Raises:
        ModelNotFoundError, EnvironmentNotFoundError, NoDeploymentError: it is not there.
    """
    state = get_deployment(session, model, environment)
    said = Acknowledgement(
        deployment_id=state.deployment_id,
        client=checked_name(client, kind="client"),
        revision=revision,
        at=now,
    )
    if rows.acknowledge(session, said):
        rows.forget_acknowledgements(session, said, MAX_CLIENTS)
    return state
