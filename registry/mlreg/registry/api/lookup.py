"""The champion look-up: what every serving process asks, answered from memory.

An async route without FastAPI's dependencies, because it is asked thousands of times a second: the
gate has checked the token, the cache has the bytes, `If-None-Match` spares even those.
"""

from __future__ import annotations

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from mlreg.registry.api.cache import CachedDeployment, Caches
from mlreg.registry.api.context import caller_of
from mlreg.registry.api.problems import problem_of
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.services.catalog import ModelNotFoundError
from mlreg.registry.services.deployments import get_deployment

JSON = b"application/json"


async def look_up(request: Request) -> Response:
    """Answer with what serves a model in an environment, or 304 when the caller knows."""
    caches: Caches = request.app.state.caches
    model, environment = request.path_params["model"], request.path_params["environment"]
    if not caller_of(request).may("read", model):
        return problem_of(ModelNotFoundError(model=model))
    found = caches.deployments.find(model, environment)
    if found is None:
        try:
            found = await run_in_threadpool(_ask, request, model, environment)
        except RegistryError as error:
            return problem_of(error)
    return Look(found, request.scope["headers"])


look_up.action = "read"  # type: ignore[attr-defined]  # as `permission.may` says it


def _ask(request: Request, model: str, environment: str) -> CachedDeployment:
    """Ask the database for a deployment that the cache has not seen."""
    caches: Caches = request.app.state.caches
    with request.app.state.parts.database.reading() as session:
        state = get_deployment(session, model, environment)
    return caches.deployments.take(state)


class Look(Response):
    """A look-up's answer, with its headers made by hand."""

    def __init__(self, found: CachedDeployment, asked: list[tuple[bytes, bytes]]) -> None:
        known = next((value for name, value in asked if name == b"if-none-match"), None)
        self.background = None
        self.status_code = 304 if known == found.etag else 200
        self.body = b"" if known == found.etag else found.body
        self.raw_headers = [
            (b"etag", found.etag),
            (b"cache-control", b"no-cache"),
            (b"content-type", JSON),
        ]
        if self.status_code != 304:  # noqa: PLR2004 - not modified: no body, no length
            self.raw_headers.append((b"content-length", str(len(self.body)).encode()))


def look_up_route(prefix: str) -> Route:
    """Return the route of the look-up below an API prefix."""
    path = f"{prefix}/models/{{model}}/deployments/{{environment}}"
    return Route(path, look_up, methods=["GET"], name="look_up")
