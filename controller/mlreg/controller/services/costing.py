"""Costs: what each attempt at a run took of a worker, at the price of that moment.

What always holds: an attempt is written down in the transaction that ends it, however it ends; what
failed cost as much as what did not. The seconds of a failed attempt count as training, unless the
training was done and registered before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.store import costs as rows

if TYPE_CHECKING:
    from mlreg.controller.store.tables import Run
    from mlreg.registry.store.database import WriteSession


def record_attempt(session: WriteSession, run: Run, job_id: int) -> None:
    """Write down what the attempt at a run took that ends with this transaction."""
    session.flush()
    if run.granted_seconds is not None:
        rows.lock_budget(session)  # who is held back by them just now is looked at again
    rows.record(
        session,
        {
            "run_id": run.id,
            "job_id": job_id,
            "model_id": run.model_id,
            "environment": run.environment,
            "policy": run.firing_id is not None,
            "attempt": run.attempt,
            "train_seconds": None if run.version is None else run.train_seconds or 0.0,
        },
    )
