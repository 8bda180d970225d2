"""Routes of the controllers and workers that are there."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from mlreg.client.wire.base import Page
from mlreg.client.wire.members import ControllerAnswer, WorkerAnswer
from mlreg.controller.services.members import list_controllers, list_workers
from mlreg.registry.api.context import Reading
from mlreg.registry.api.permission import may

router = APIRouter(tags=["members"])


@router.get("/controllers", dependencies=[may("metrics.read")])
def show_controllers(reading: Reading) -> Page[ControllerAnswer]:
    """List the controllers, those that are there first, with the one that leads."""
    with reading() as session:
        found = list_controllers(session)
    return Page(items=[ControllerAnswer(**asdict(one), leads=one.leads) for one in found])


@router.get("/workers", dependencies=[may("metrics.read")])
def show_workers(reading: Reading) -> Page[WorkerAnswer]:
    """List the workers, those that are there first, with what each does."""
    with reading() as session:
        found = list_workers(session)
    return Page(items=[WorkerAnswer(**asdict(one)) for one in found])
