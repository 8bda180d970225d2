"""Every room of the controller's API, in one place, for whoever puts the server together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.api import (
    alerts,
    backtests,
    clock,
    costs,
    decisions,
    drift,
    explanations,
    feedback,
    freezes,
    incidents,
    invariants,
    lineage,
    log_upkeep,
    members,
    monitors,
    parity,
    policies,
    reproductions,
    runs,
    snapshots,
    triggers,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = (
    alerts.router,
    backtests.router,
    clock.router,
    costs.router,
    decisions.router,
    drift.router,
    explanations.router,
    feedback.router,
    freezes.router,
    incidents.router,
    invariants.router,
    lineage.router,
    log_upkeep.router,
    members.router,
    monitors.router,
    parity.router,
    policies.router,
    reproductions.router,
    runs.router,
    snapshots.router,
    triggers.router,
)
