"""The page of a backtest: how often to retrain, in words, as drawings, and as tables."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from mlreg.client.wire.backtests import Backtested
from mlreg.controller.services import backtesting
from mlreg.controller.services.backtesting import BacktestNotFoundError
from mlreg.controller.web import links
from mlreg.controller.web.frontier import ages_of, frontier_of
from mlreg.controller.web.rendering import page
from mlreg.controller.web.trends import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from mlreg.registry.services import catalog
from mlreg.registry.web.rendering import PageRoute, database_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Number = Annotated[int, Path(ge=1, lt=2**63)]
FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": RIGHT,
    "top": TOP,
    "bottom": BOTTOM,
}


@router.get("/models/{model}/backtests/{number}")
def backtest_page(model: str, number: Number, request: Request) -> Response:
    """Show what a backtest found, or how far it is."""
    with database_of(request).reading() as session:
        known = catalog.get_model(session, model)
        asked = backtesting.get_backtest(session, number)
    if asked.model_id != catalog.id_of(known):
        raise BacktestNotFoundError(number=number)
    found = None if asked.found is None else Backtested.model_validate(asked.found)
    return page(
        "backtest.html",
        model=known,
        asked=asked,
        found=found,
        policies=[] if found is None else sorted(found.policies, key=lambda p: p.behind.estimate),
        frontier=None if found is None else frontier_of(found),
        ages=None if found is None else ages_of(found),
        frame=FRAME,
        links=links,
    )
