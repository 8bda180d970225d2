"""The alert of a job that is dead: an incident of its model, and a line that operators look for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlreg.controller.services.incidents import Alarm, open_incident
from mlreg.registry.domain.actor import SYSTEM

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.services.jobs import Ended
    from mlreg.registry.store.database import WriteSession

INCIDENT_KIND = "dead_job"

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
