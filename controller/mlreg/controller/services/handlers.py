"""Which function does which kind of job: the one place where they are plugged together.

What always holds: a kind that is not in this table is left queued, for a newer worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mlreg.controller.services import (
    backtest_work,
    backtesting,
    chores,
    comparing,
    draining,
    erasing,
    evaluations,
    explaining,
    freezing,
    guarding,
    invariant_readings,
    mature_windows,
    measuring,
    parity,
    referencing,
    reproductions,
    runs,
    snapshot_checks,
    source_windows,
    training_run,
)
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.chore import ChoreSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


def drain(attempt: Attempt) -> None:
    """Drain the model that the job names; the drain fences each of its rounds itself."""
    model_id = cast("int", attempt.lease.payload["model_id"])
    draining.drain_model(attempt.database, attempt.store, model_id, now=attempt.clock.now())


HANDLERS: Mapping[str, Handler] = {
    "drain": Handler(drain, alert_if_dead),
    erasing.KIND: erasing.HANDLER,
    runs.KIND: training_run.HANDLER,
    evaluations.KIND: evaluations.HANDLER,
    explaining.KIND: explaining.HANDLER,
    backtesting.KIND: backtest_work.HANDLER,
    freezing.KIND: freezing.HANDLER,
    mature_windows.KIND: measuring.HANDLER,
    comparing.KIND: comparing.HANDLER,
    referencing.KIND: referencing.HANDLER,
    guarding.KIND: guarding.HANDLER,
    parity.KIND: parity.HANDLER,
    invariant_readings.KIND: invariant_readings.HANDLER,
    snapshot_checks.KIND: snapshot_checks.HANDLER,
    source_windows.KIND: source_windows.HANDLER,
    reproductions.KIND: reproductions.HANDLER,
    chores.KIND: chores.handler(ChoreSettings()),
}


def handlers_of(settings: ChoreSettings) -> Mapping[str, Handler]:
    """Return the table of a worker whose operator told the chores something."""
    return {**HANDLERS, chores.KIND: chores.handler(settings)}
