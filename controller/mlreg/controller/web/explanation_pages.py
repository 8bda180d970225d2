"""The page of an explanation, and the style sheet of all pages here."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response

from mlreg.controller.services import explaining
from mlreg.controller.services.explaining import ExplanationNotFoundError
from mlreg.controller.web import links
from mlreg.controller.web.contributions import contribution_bars
from mlreg.controller.web.rendering import page
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services import catalog
from mlreg.registry.web.rendering import PageRoute, database_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Number = Annotated[int, Path(ge=1, lt=2**63)]
STYLE = File(__file__).parent / "static" / "monitors.css"


@router.get("/models/{model}/explanations/{number}")
def explanation_page(model: str, number: Number, request: Request) -> Response:
    """Show what was found in a window: slices, contributions, rows for who may read rows."""
    caller = cast("Actor", request.scope["state"]["caller"])
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        asked = explaining.get_explanation(session, number)
    if asked.model_id != catalog.id_of(found):
        raise ExplanationNotFoundError(number=number)
    seen = explaining.as_seen(asked.found, may_read_rows=caller.may("data.read", model))
    added = None if seen is None else seen.contributions
    return page(
        "explanation.html",
        model=found,
        asked=asked,
        found=seen,
        added=None if added is None else contribution_bars(added),
        links=links,
    )


@router.get("/static/monitors.css")
def style() -> Response:
    """Serve the style sheet of these pages."""
    return Response(
        STYLE.read_bytes(), media_type="text/css", headers={"Cache-Control": "max-age=300"}
    )
