"""Telling others how a run ended, in the transaction that ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.services.outbox import tell

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import WriteSession


def tell_of_run(session: WriteSession, run: Run, model: str, now: datetime) -> None:
    """Leave `run.succeeded`, or `run.failed` for one that failed or is dead."""
    body = {
        "model": model,
        "environment": run.environment,
        "run": run.id,
        "state": run.state,
        "lane": run.lane,
        "cause": run.cause,
        "version": run.version,
        "decision": run.decision_id,
        "error": run.error,
        "actor": run.requested_by,
    }
    topic = "run.succeeded" if run.state == "succeeded" else "run.failed"
    tell(session, topic, body, now=now)
