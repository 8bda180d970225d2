"""Whether this process lives, whether it can serve, and its few numbers for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from sqlmodel import select

from mlreg.registry.api.context import Parts, Reading
from mlreg.registry.api.permission import may
from mlreg.registry.store.tables import Deployment, Installation

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process answers; nothing else is asked."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(reading: Reading, parts: Parts) -> dict[str, str]:
    """Say that the database answers and has our schema; a problem 503 if not.

    How the controller is stands beside it: an API without one serves all the same.
    """
    with reading() as session:
        session.exec(select(Installation.id)).one()
    said = {} if parts.controller_state is None else {"controller": parts.controller_state()}
    return {"status": "ready", **said}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    dependencies=[may("metrics.read")],
)
def metrics(request: Request, reading: Reading) -> Response:
    """Return what Prometheus asks for, in its text format."""
    with reading() as session:
        deployments = session.exec(select(Deployment.frozen)).all()
    caches = request.app.state.caches
    lines = [
        "# TYPE mlreg_deployments gauge",
        f"mlreg_deployments {len(deployments)}",
        "# TYPE mlreg_deployments_frozen gauge",
        f"mlreg_deployments_frozen {sum(deployments)}",
        "# TYPE mlreg_cache_age_seconds gauge",
        f"mlreg_cache_age_seconds {caches.age_seconds():.3f}",
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
