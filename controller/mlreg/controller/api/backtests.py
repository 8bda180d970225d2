"""Routes of backtests: ask for one, see one, end one, list those of a model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from mlreg.client.wire.backtests import (
    BacktestAnswer,
    Backtested,
    BacktestRequest,
    CancelBacktest,
)
from mlreg.client.wire.base import Page
from mlreg.controller.services import backtesting
from mlreg.controller.services.backtesting import Asked, Backtest, BacktestNotFoundError
from mlreg.registry.api.context import Caller, Now, Reading, Writing
from mlreg.registry.api.idempotency import OncePerKey
from mlreg.registry.api.paging import Before, Limit, numbered_page
from mlreg.registry.api.permission import may, permit
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model

router = APIRouter(tags=["backtests"])
Number = Annotated[int, Path(ge=1, lt=2**63)]


@router.post(
    "/models/{model}/backtests",
    status_code=202,
    response_model=BacktestAnswer,
    dependencies=[may("run.write")],
)
def request_backtest(
    model: str,
    body: BacktestRequest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """Ask for a model's history to be replayed under a grid of policies."""

    def act() -> BacktestAnswer:
        found = catalog.get_model(session, model)
        asked = Asked(**body.model_dump())
        number = backtesting.request_backtest(session, found, asked, actor=caller, now=now)
        return answer_of(backtesting.get_backtest(session, number), model)

    with writing() as session:
        return once.run(session, now, act, status=202)


@router.get("/models/{model}/backtests", dependencies=[may("read")])
def list_backtests(
    model: str, reading: Reading, before: Before = None, limit: Limit = 20
) -> Page[BacktestAnswer]:
    """List the backtests of a model, the newest first."""
    with reading() as session:
        found = backtesting.list_backtests(
            session, catalog.get_model(session, model), before=before, limit=limit + 1
        )
    answers = [answer_of(one, model) for one in found]
    return numbered_page(answers, limit, lambda one: one.number)


@router.get("/backtests/{number}", dependencies=[may("read")])
def show_backtest(number: Number, reading: Reading, caller: Caller) -> BacktestAnswer:
    """Show a backtest: how far it is, or what it found."""
    with reading() as session:
        found = backtesting.get_backtest(session, number)
        model = session.get_one(Model, found.model_id)
    permit(caller, "read", model.name, unseen=BacktestNotFoundError(number=number))
    return answer_of(found, model.name)


@router.post(
    "/backtests/{number}/cancel", response_model=BacktestAnswer, dependencies=[may("run.write")]
)
def cancel_backtest(
    number: Number,
    body: CancelBacktest,
    writing: Writing,
    once: OncePerKey,
    caller: Caller,
    now: Now,
) -> Response:
    """End a backtest that waits or runs."""
    with writing() as session:
        found = backtesting.get_backtest(session, number)
        model = session.get_one(Model, found.model_id)
        permit(caller, "run.write", model.name, unseen=BacktestNotFoundError(number=number))

        def act() -> BacktestAnswer:
            ended = backtesting.cancel_backtest(session, number, body.reason, actor=caller, now=now)
            return answer_of(ended, model.name)

        return once.run(session, now, act)


def answer_of(found: Backtest, model: str) -> BacktestAnswer:
    """Return a backtest as it is answered."""
    return BacktestAnswer(
        number=found.number,
        model=model,
        environment=found.environment,
        state=found.state,
        error=found.error,
        asked_at=found.asked_at,
        progress=found.progress,
        share=found.share,
        found=None if found.found is None else Backtested.model_validate(found.found),
    )
