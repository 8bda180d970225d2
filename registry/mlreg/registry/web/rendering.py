"""How pages are made: templates that escape everything, headers that let nothing else in.

Rooms above the registry have pages too: `pages_of` gives them this frame and its macros, with
templates of their own before ours.

What always holds: a page is HTML of our templates and text of others, never HTML of others; the
policy of its headers allows our own style sheets and nothing that runs; nothing of it is cached.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse
from typing_extensions import override

from mlreg.client.states import became
from mlreg.registry.domain.errors import InvalidError, NotAllowedError, NotFoundError
from mlreg.registry.store.database import Database

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


class PageRoute(APIRoute):
    """A page: what is not there, or may not be seen, is one and the same page."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await answer(request)
            except (NotFoundError, InvalidError) as error:
                return page("missing.html", error.status or 404, message=str(error))
            except NotAllowedError as error:
                return page("missing.html", 403, message=str(error))

        return shown


def _day_and_minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


OURS = "mlreg.registry.web"


class RenderPage(Protocol):
    """Fills a template with values."""

    def __call__(self, template: str, status_code: int = 200, **values: object) -> Response:
        """Return it as a page."""
        ...


def pages_of(package: str = OURS) -> RenderPage:
    """Return what renders the templates of a room (its package of pages), and ours beside them."""
    packages = dict.fromkeys([package, OURS])
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["moment"] = _day_and_minute
    templates.filters["became"] = became

    def render(template: str, status_code: int = 200, **values: object) -> Response:
        content = templates.get_template(template).render(**values)
        return HTMLResponse(content, status_code, HEADERS)

    return render


page: RenderPage = pages_of()
"""Return a template of ours filled with values as a page."""


def database_of(request: Request) -> Database:
    """Return the database of the app that serves the request."""
    return cast("Database", request.app.state.parts.database)
