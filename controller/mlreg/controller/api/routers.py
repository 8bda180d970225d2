"""Every router of the controller: what the composition root plugs into the API."""

from __future__ import annotations

from fastapi import APIRouter

from mlreg.controller.api import clock, feedback, incidents, monitors, policies, snapshots

ROUTERS: tuple[APIRouter, ...] = (
    feedback.router,
    snapshots.router,
    policies.router,
    monitors.router,
    incidents.router,
    clock.router,
)
