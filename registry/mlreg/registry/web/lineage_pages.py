"""Pages of the lineage graph: of a version, and of every other node that one leads to."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.lineage import Bounds
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import lineage
from mlreg.registry.services.lineage import Question
from mlreg.registry.web.graphs import BOX_HEIGHT, BOX_WIDTH, drawing_of
from mlreg.registry.web.rendering import PageRoute, database_of, page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
BOUNDS = Bounds(depth=3, nodes=120)
"""From the segments of a version to the revisions of its children: more is for the command line."""


@router.get("/models/{model}/versions/{number}/lineage")
def version_lineage(model: str, number: Number, request: Request) -> Response:
    """Show what a version was made of, and what came of it."""
    return _lineage_of(request, f"{model}/{number}", model)


@router.get("/lineage/{thing:path}")
def node_lineage(thing: str, request: Request) -> Response:
    """Show what any node was made of, and what came of it, as far as the caller may see."""
    return _lineage_of(request, thing)


def _lineage_of(request: Request, thing: str, model: str | None = None) -> Response:
    caller = cast("Actor", request.scope["state"]["caller"])
    with database_of(request).reading() as session:
        found = lineage.trace(session, Question(thing, bounds=BOUNDS), caller=caller)
    return page(
        "lineage.html",
        thing=thing,
        model=model,
        drawing=drawing_of(found),
        hidden=len(found.graph.hidden),
        truncated=found.graph.truncated,
        box={"width": BOX_WIDTH, "height": BOX_HEIGHT},
    )
