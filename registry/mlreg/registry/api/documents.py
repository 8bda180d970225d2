"""The API's own description, for whoever may look at anything here."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from mlreg.registry.api.openapi import describe_api
from mlreg.registry.api.permission import may

router = APIRouter(include_in_schema=False)


@router.get("/api/v1/openapi.json", dependencies=[may("read")])
async def describe(request: Request) -> JSONResponse:
    """Return the OpenAPI document."""
    app: FastAPI = request.app
    if app.openapi_schema is None:
        app.openapi_schema = await run_in_threadpool(describe_api, app, "/api/v1")
    return JSONResponse(app.openapi_schema)
