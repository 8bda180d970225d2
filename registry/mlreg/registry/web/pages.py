"""Pages and the log-in form: parse, ask a service, render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import (
    UnauthenticatedError,
)
from mlreg.registry.domain.tokens import id_of
from mlreg.registry.services import approvals, catalog, status
from mlreg.registry.services.access import PAGE_COOKIE, check_bearer
from mlreg.registry.services.status import DeploymentStatus
from mlreg.registry.services.throttle import Throttle, TooManyAttemptsError
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import ReadSession
from mlreg.registry.store.tables import Model, Version
from mlreg.registry.web import lineage_pages, version_pages
from mlreg.registry.web.rendering import HEADERS, PageRoute, database_of, page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
router.include_router(version_pages.router)
router.include_router(lineage_pages.router)
COOKIE_SECONDS = 12 * 3600
HISTORY = 50
VERSIONS = 20
STYLE = Path(__file__).parent / "static" / "style.css"
CountIncidents = Callable[[ReadSession], Mapping[tuple[str, str], int]]


@dataclass(frozen=True, slots=True)
class Card:
    """One model on the overview, with each place it is deployed to."""

    model: Model
    places: list[DeploymentStatus]


@router.get("/")
def overview(request: Request) -> Response:
    """Show every model: what serves it, since when, and what is wrong."""
    with database_of(request).reading() as session:
        readable = _caller(request).models_for("read")
        models = catalog.list_models(session, limit=1_000, names=readable)
        found = status.list_status(session)
        parts = request.app.state.parts
        incidents = _counted(parts.open_incidents, session)
        alerts = _counted(parts.open_alerts, session)
    cards = [
        Card(model, [item for item in found if item.state.model == model.name])
        for model in models.items
    ]
    return page("overview.html", cards=cards, incidents=incidents, alerts=alerts)


@router.get("/models/{model}")
def modelpage(model: str, request: Request) -> Response:
    """Show a model: its deployments, their revisions, its newest versions."""
    with database_of(request).reading() as session:
        found = catalog.get_model(session, model)
        places = status.list_status(session, model)
        history = {
            place.state.environment: status.list_history(
                session, model, place.state.environment, limit=HISTORY
            )
            for place in places
        }
        waiting = {
            place.state.environment: approvals.list_waiting(session, place.state)
            for place in places
        }
        versions: list[Version] = list(catalog.list_versions(session, found, limit=VERSIONS).items)
        parts = request.app.state.parts
        incidents = _counted(parts.open_incidents, session)
        alerts = _counted(parts.open_alerts, session)
    return page(
        "model.html",
        model=found,
        places=places,
        history=history,
        waiting=waiting,
        versions=versions,
        incidents=incidents,
        alerts=alerts,
        links=parts.model_links,
    )


@router.get("/login")
def login_form() -> Response:
    """Show the log-in form."""
    return page("login.html", wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Take a token and set the cookie that opens pages."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = fields.get("token", [""])[0].strip()
    try:
        await run_in_threadpool(_check, request, token)
    except UnauthenticatedError:
        return page("login.html", 401, wrong="That token is not valid.")
    except TooManyAttemptsError as error:
        refused = page("login.html", 429, wrong=f"{error}.".capitalize())
        refused.headers["Retry-After"] = str(error.retry_after_seconds)
        return refused
    answer = RedirectResponse("/", status_code=303, headers=HEADERS)
    answer.set_cookie(
        PAGE_COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
async def log_out() -> Response:
    """Forget the cookie."""
    answer = RedirectResponse("/login", status_code=303, headers=HEADERS)
    answer.delete_cookie(PAGE_COOKIE, httponly=True, samesite="strict")
    return answer


@router.get("/static/style.css")
def style() -> Response:
    """Serve the one style sheet."""
    return Response(
        STYLE.read_bytes(), media_type="text/css", headers={"Cache-Control": "max-age=300"}
    )


def _check(request: Request, token: str) -> None:
    throttle: Throttle = request.app.state.throttle
    address = request.client.host if request.client else None
    with throttle.attempt(address, id_of(token)), database_of(request).reading() as session:
        check_bearer(session, token, SystemClock().now())


def _caller(request: Request) -> Actor:
    """Return who looks, as the gate found out from the cookie or the token."""
    return cast("Actor", request.scope["state"]["caller"])


def _counted(count: CountIncidents | None, session: ReadSession) -> Mapping[tuple[str, str], int]:
    """Return how many are open, by model and environment, if anyone here counts them."""
    return Counter() if count is None else Counter(count(session))
