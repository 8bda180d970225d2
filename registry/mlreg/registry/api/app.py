"""The API: one app, its layers from the outside in, its routes.

Layers: `Boundary` (hosts, origins, headers) → `Gate` (no token, no entry) → `Limits` (bodies) →
routes. Everything that goes wrong is answered as a problem (`problems.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from mlreg.registry.api import (
    approvals,
    audit,
    blobs,
    cards,
    checkpoints,
    cleanup,
    comparison,
    deployments,
    documents,
    environments,
    events,
    grants,
    health,
    models,
    oidc,
    portable,
    reigns,
    retirement,
    search,
    signing,
    stages,
    tokens,
    uploads,
    versions,
    webhooks,
)
from mlreg.registry.api.boundary import Boundary
from mlreg.registry.api.cache import Caches
from mlreg.registry.api.gate import Gate
from mlreg.registry.api.limits import Limits
from mlreg.registry.api.lookup import look_up_route
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.api.permission import check_every_route, may
from mlreg.registry.api.problems import PROBLEMS, install_problems
from mlreg.registry.api.transfer_parts import TransferParts
from mlreg.registry.services.oidc_keys import IssuerKeys

PREFIX = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (
    deployments.router,  # first, as the path is looked up in this order
    models.router,
    versions.router,
    comparison.router,
    retirement.router,
    cleanup.router,
    portable.router,
    stages.router,
    cards.router,
    blobs.router,
    search.router,
    uploads.router,
    signing.router,
    approvals.router,
    reigns.router,
    environments.router,
    audit.router,
    checkpoints.router,
    events.router,
    webhooks.router,
    tokens.router,
    grants.router,
    oidc.router,
)
_KNOWN_ROUTES: dict[tuple[tuple[int, ...], tuple[int, ...]], list[BaseRoute]] = {}


def create_api(parts: ApiParts) -> FastAPI:
    """Plug an API together; it starts its caches' thread with its lifespan.

    Raises:
        NoActionNamedError: a route says neither which action it is nor that it is public.
    """
    caches = Caches(parts.database)
    app = FastAPI(
        title="mlreg",
        openapi_url=None,  # FastAPI's own route would ask nobody; `documents` answers instead
        docs_url=None,
        redoc_url=None,
        # Nobody listens here; asking for listeners took up to 5 % of a request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=_lifespan,
        responses=PROBLEMS,
    )
    app.state.parts = parts
    app.state.caches = caches
    app.state.throttle = caches.throttle
    app.state.issuer_keys = IssuerKeys()
    app.state.transfers = TransferParts.of(parts)
    app.router.routes.extend([look_up_route(PREFIX), *parts.first_routes(PREFIX)])
    app.router.routes.extend([*versions.short_routes(PREFIX), *deployments.short_routes(PREFIX)])
    app.router.routes.extend(routes_of(parts.extra_routers, parts.page_routers))
    check_every_route(app.routes)
    install_problems(app)
    app.add_middleware(Limits)
    app.add_middleware(Gate, tokens=caches.tokens, throttle=caches.throttle, rate=parts.rate)
    app.add_middleware(Boundary, hosts=parts.hosts)
    return app


def routes_of(extra: Sequence[APIRouter], page_routers: Sequence[APIRouter]) -> list[BaseRoute]:
    """Return our routes and those of these routers; all apps of a process share them.

    To work out what each route asks for takes 80 ms of processor. A router is known by its
    identity, as it cannot be hashed; its routes keep it.
    """
    routers = [*ROUTERS, *extra]
    key = (tuple(map(id, routers)), tuple(map(id, page_routers)))
    if key not in _KNOWN_ROUTES:
        everything = APIRouter(responses=PROBLEMS)
        for router in routers:
            everything.include_router(router, prefix=PREFIX)
        for router in (health.router, documents.router):
            everything.include_router(router)
        for router in page_routers:
            everything.include_router(router, dependencies=[may("read")])
        _KNOWN_ROUTES[key] = everything.routes
    return _KNOWN_ROUTES[key]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    caches: Caches = app.state.caches
    # A thread more than connections that stay open would open one for a single request.
    anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.parts.database.kept
    caches.start()
    for companion in app.state.parts.companions:
        companion.start()
    yield
    for companion in app.state.parts.companions:
        await run_in_threadpool(companion.stop)
    await run_in_threadpool(app.state.transfers.verifier.stop)
    await run_in_threadpool(caches.stop)
