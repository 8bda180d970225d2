"""Writing a judgement down: the decision, and the arrows of lineage that lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.services import decisions
from mlreg.registry.services import deployments
from mlreg.registry.store import lineage

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.judging_run import Judged
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Decision, Model


def lock_before_audit(session: WriteSession, model: Model, environment: str) -> None:
    """Lock the deployment before anything is audited: the audit's lock is everybody's last."""
    state = deployments.find_deployment(session, model.name, environment)
    if state is not None:
        deployments.lock_deployment(session, state.deployment_id)


def record_judged(
    session: WriteSession,
    judged: Judged,
    pair: decisions.JudgedPair,
    *,
    actor: Actor,
    now: datetime,
) -> Decision:
    """Write the decision of a judgement; the caller has locked the deployment."""
    decision = decisions.record_decision(session, pair, judged.judgement, actor=actor, now=now)
    numbers = {pair.challenger, *judged.rivals.roles.values()}
    sources = [("version", f"{pair.model.name}/{number}") for number in sorted(numbers)]
    if pair.snapshot is not None:
        sources.append(("snapshot", pair.snapshot))
    if pair.run_id is not None:
        sources.append(("run", str(pair.run_id)))
    target = ("decision", str(decision.id))
    lineage.add_edges(session, sources, target, now, model_id=decision.model_id)
    return decision
