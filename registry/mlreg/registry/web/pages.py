"""Pages and the log-in form: parse, ask a service, render."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse
from typing_extensions import override

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    UnauthenticatedError,
)
from mlreg.registry.domain.tokens import id_of
from mlreg.registry.services import catalog, status
from mlreg.registry.services.access import PAGE_COOKIE, check_bearer
from mlreg.registry.services.status import DeploymentStatus
from mlreg.registry.services.throttle import Throttle, TooManyAttemptsError
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.database import Database, ReadSession
from mlreg.registry.store.tables import Model, Version


class PageRoute(APIRoute):
    """A page: what is not there, or may not be seen, is one and the same page."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await answer(request)
            except (NotFoundError, InvalidError) as error:
                return _page("missing.html", 404, message=str(error))
            except NotAllowedError as error:
                return _page("missing.html", 403, message=str(error))

        return shown


router = APIRouter(include_in_schema=False, route_class=PageRoute)
COOKIE_SECONDS = 12 * 3600
HISTORY = 50
VERSIONS = 20
STYLE = Path(__file__).parent / "static" / "style.css"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
CountIncidents = Callable[[ReadSession], Mapping[tuple[str, str], int]]


def _day_and_minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


_TEMPLATES = Environment(
    loader=PackageLoader("mlreg.registry.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["moment"] = _day_and_minute


@dataclass(frozen=True, slots=True)
class Card:
    """One model on the overview, with each place it is deployed to."""

    model: Model
    places: list[DeploymentStatus]


@router.get("/")
def overview(request: Request) -> Response:
    """Show every model: what serves it, since when, and what is wrong."""
    with _database(request).reading() as session:
        readable = _caller(request).models_for("read")
        page = catalog.list_models(session, limit=1_000, names=readable)
        found = status.list_status(session)
        incidents = _open_incidents(request, session)
    cards = [
        Card(model, [item for item in found if item.state.model == model.name])
        for model in page.items
    ]
    return _page("overview.html", cards=cards, incidents=incidents)


@router.get("/models/{model}")
def model_page(model: str, request: Request) -> Response:
    """Show a model: its deployments, their revisions, its newest versions."""
    with _database(request).reading() as session:
        found = catalog.get_model(session, model)
        places = status.list_status(session, model)
        history = {
            place.state.environment: status.list_history(
                session, model, place.state.environment, limit=HISTORY
            )
            for place in places
        }
        versions: list[Version] = list(catalog.list_versions(session, found, limit=VERSIONS).items)
        incidents = _open_incidents(request, session)
    return _page(
        "model.html",
        model=found,
        places=places,
        history=history,
        versions=versions,
        incidents=incidents,
    )


@router.get("/login")
def login_form() -> Response:
    """Show the log-in form."""
    return _page("login.html", wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Take a token and set the cookie that opens pages."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = fields.get("token", [""])[0].strip()
    try:
        await run_in_threadpool(_check, request, token)
    except UnauthenticatedError:
        return _page("login.html", 401, wrong="That token is not valid.")
    except TooManyAttemptsError as error:
        refused = _page("login.html", 429, wrong=f"{error}.".capitalize())
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
    with throttle.attempt(address, id_of(token)), _database(request).reading() as session:
        check_bearer(session, token, SystemClock().now())


def _caller(request: Request) -> Actor:
    """Return who looks, as the gate found out from the cookie or the token."""
    return cast("Actor", request.scope["state"]["caller"])


def _database(request: Request) -> Database:
    return cast("Database", request.app.state.parts.database)


def _open_incidents(request: Request, session: ReadSession) -> Mapping[tuple[str, str], int]:
    """Return how many incidents are open, by model and environment, if anyone here counts them."""
    count = cast("CountIncidents | None", request.app.state.parts.open_incidents)
    return Counter() if count is None else Counter(count(session))


def _page(template: str, status_code: int = 200, **values: object) -> Response:
    content = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(content, status_code, HEADERS)
