"""Alerts of what nobody waits for: a dead job, a failed run of a policy, a promote through glass.

What always holds: of failed runs of one deployment at most one incident is open; the next failure
is a line in it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlmodel import col, select

from mlreg.controller.services.incidents import Alarm, add_entry, open_incident
from mlreg.controller.store.tables import Incident
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.leases import Ended
    from mlreg.controller.store.tables import Run
    from mlreg.registry.services.deployments import Change, ChangedState
    from mlreg.registry.store.database import WriteSession

INCIDENT_KIND = "dead_job"
FAILED_RUN = "failed_run"
BROKEN_GLASS = "broken_glass"

log = logging.getLogger("mlreg.worker")


def alert_if_dead(session: WriteSession, ended: Ended, now: datetime) -> None:
    """Open an incident for a job whose attempts are spent, in the transaction that ends it.

    The model and the environment come from the job's payload (`model_id`, `environment`); a job
    that names no model is only logged.
    """
    if ended.state != "dead":
        return
    log.error("JOB DEAD: job %d (%s): %s", ended.job_id, ended.kind, ended.error)
    model_id = ended.payload.get("model_id")
    if not isinstance(model_id, int):
        return
    alarm = Alarm(
        model_id=model_id,
        environment=str(ended.payload.get("environment", "production")),
        kind=INCIDENT_KIND,
        title=f"job {ended.job_id} ({ended.kind}) is dead after {ended.attempt} attempts",
        line=ended.error,
        evidence={"job": ended.job_id, "kind": ended.kind},
    )
    open_incident(session, alarm, actor=SYSTEM, now=now)


def alert_of_failed_run(session: WriteSession, run: Run, now: datetime) -> None:
    """Say that a run which a policy asked for has failed, in an incident of its deployment."""
    line = f"run {run.id} ({run.lane}, {run.cause}) failed: {run.error}"
    number = session.exec(
        select(Incident.id)
        .where(
            Incident.model_id == run.model_id,
            Incident.environment == run.environment,
            Incident.kind == FAILED_RUN,
            Incident.state == "open",
        )
        .order_by(col(Incident.id).desc())
        .limit(1)
    ).first()
    if number is not None:
        add_entry(session, number, line, actor=SYSTEM, now=now)
        return
    alarm = Alarm(
        model_id=run.model_id,
        environment=run.environment,
        kind=FAILED_RUN,
        title="retraining fails: the champion grows old",
        line=line,
        evidence={"run": run.id},
    )
    open_incident(session, alarm, actor=SYSTEM, now=now)


def alert_of_broken_glass(
    session: WriteSession, change: Change, changed: ChangedState, now: datetime
) -> None:
    """Open an incident of a promote that went without its approvals, in its own transaction."""
    alarm = Alarm(
        model_id=catalog.id_of(catalog.get_model(session, changed.model)),
        environment=changed.environment,
        kind=BROKEN_GLASS,
        title=f"version {changed.champion} was promoted without the approvals that it needs",
        line=f"{change.actor.name} broke the glass: {change.reason}",
        evidence={
            "revision": changed.revision,
            "approvals_required": changed.approvals_required,
            "approvers": list(changed.approvers),
        },
    )
    open_incident(session, alarm, actor=change.actor, now=now)
