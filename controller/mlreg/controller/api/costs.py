"""Routes of budgets, costs and the queue of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.costs import (
    BoundAnswer,
    BudgetAnswer,
    BudgetRequest,
    By,
    CostAnswer,
    QueuedRunAnswer,
)
from mlreg.controller.domain.budget import Budget
from mlreg.controller.services import budgets, jobs
from mlreg.controller.store import costs
from mlreg.controller.store.queue import Waiting, list_waiting
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.domain.pages import MAX_PAGE
from mlreg.registry.store.database import ReadSession

router = APIRouter(tags=["costs"])
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


@router.get("/budget", dependencies=[may("read")])
def show_budget(reading: Reading, now: Now) -> BudgetAnswer:
    """Show the budget of all policies together, and what is used of it."""
    with reading() as session:
        return _budget(session, budgets.overall_standing(session, now))


@router.post("/budget", response_model=BudgetAnswer, dependencies=[may("budget.write")])
def set_budget(
    body: BudgetRequest, writing: Writing, once: OncePerKey, caller: Caller, now: Now
) -> Response:
    """Set the budget of all policies together; what was held is judged anew."""

    def act() -> BudgetAnswer:
        budgets.set_overall(session, Budget(**body.model_dump()), actor=caller, now=now)
        return _budget(session, budgets.overall_standing(session, now))

    with writing() as session:
        return once.run(session, now, act)


@router.get("/costs", dependencies=[may("read")])
def list_costs(
    reading: Reading, caller: Caller, by: By = "model", limit: Limit = 100
) -> Page[CostAnswer]:
    """List what runs took and cost, summed by model, by month, by policy or by decision."""
    with reading() as session:
        found = costs.sums(session, by, caller.models_for("read"), limit)
    return Page(items=[cost_of(one) for one in found])


@router.get("/queue", dependencies=[may("read")])
def list_queue(reading: Reading, caller: Caller, limit: Limit = 100) -> Page[QueuedRunAnswer]:
    """List the runs that wait, in their order, each with what it waits for."""
    with reading() as session:
        found = list_waiting(session, caller.models_for("read"), limit)
    return Page(items=[_queued(one) for one in found])


def cost_of(one: costs.Sum) -> CostAnswer:
    """Return a sum as it is answered."""
    values = one._asdict()
    return CostAnswer(**values | {"amount": None if one.amount is None else float(one.amount)})


def _budget(session: ReadSession, standing: budgets.Standing) -> BudgetAnswer:
    bounds = [
        BoundAnswer(bound=one.bound, allowed=one.allowed, used=one.used)
        for one in standing.bounds()
    ]
    return BudgetAnswer(bounds=bounds, held=jobs.count_held(session))


def _queued(one: Waiting) -> QueuedRunAnswer:
    because = {
        "worker": "waits for a worker",
        "lock": f"run {one.rival_run} of this model comes first",
        "budget": one.held or "",
        "label": f"no worker with the label {one.label} is there",
        "time": f"tried again at {one.not_before:%H:%M:%S}" if one.not_before else "",
    }
    return QueuedRunAnswer(
        run=one.run,
        model=one.model,
        environment=one.environment,
        cause=one.cause,
        priority=one.priority,
        position=one.position,
        waits_for=one.waits_for,
        because=because[one.waits_for],
        asked_at=one.asked_at,
    )
