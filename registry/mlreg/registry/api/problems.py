"""Errors as RFC 9457 problems: one table from branch to status, one shape for every answer.

A problem has `type`, `title`, `status`, `detail`, `code` (stable), `kind` (the branch of the error
tree), `hint`, and `current` when a compare-and-set lost.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from mlreg.registry.domain.errors import (
    IntegrityError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    PreconditionRequiredError,
    RefusedError,
    RegistryError,
    StaleRevisionError,
    StorageFullError,
    UnauthenticatedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_TEXT = {"type": "string"}
_PROBLEM = {
    "description": "a problem (RFC 9457); `code` is stable, programs branch on it",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "code", "kind"],
                "properties": {
                    **dict.fromkeys(("type", "title", "detail", "code", "kind", "hint"), _TEXT),
                    "status": {"type": "integer"},
                },
            }
        }
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": _PROBLEM, 503: _PROBLEM}
"""How errors look in the OpenAPI document; there is no 500 in it."""
RETRY_AFTER_SECONDS = "1"

STATUS: tuple[tuple[type[RegistryError], HTTPStatus], ...] = (
    (StaleRevisionError, HTTPStatus.PRECONDITION_FAILED),
    (PreconditionRequiredError, HTTPStatus.PRECONDITION_REQUIRED),
    (StorageFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (InvalidError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (NotAllowedError, HTTPStatus.FORBIDDEN),
    (UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (RefusedError, HTTPStatus.CONFLICT),
    (IntegrityError, HTTPStatus.CONFLICT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
BRANCHES = (
    StaleRevisionError,
    InvalidError,
    NotFoundError,
    NotAllowedError,
    UnauthenticatedError,
    RefusedError,
    IntegrityError,
    UnavailableError,
)
_PASSING = {"57014", "55P03", "53300", "57P01", "57P02", "57P03", "40P01", "25P03", "08006"}
_FULL = "53100"
_BAD_VALUES = "22"  # the class of SQLSTATE: what was sent cannot be kept, e.g. a year before Christ
_TAKEN = "23505"


def install_problems(app: FastAPI) -> None:
    """Answer every error of this app as a problem."""
    app.add_exception_handler(RegistryError, _registry_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeoutError, _pool_error)
    app.add_exception_handler(ClientDisconnect, _hung_up)
    app.add_exception_handler(Exception, _unexpected)


def problem_of(error: RegistryError) -> Response:
    """Return the answer that an error of the tree stands for; its traceback is let go."""
    let_go(error)
    status = next((code for kind, code in STATUS if isinstance(error, kind)), HTTPStatus(500))
    kind = next((kind.code for kind in BRANCHES if isinstance(error, kind)), "internal")
    extra = {"current": error.current} if isinstance(error, StaleRevisionError) else {}
    answer = problem(
        error.status or status, error.code, str(error), kind=kind, hint=error.hint, extra=extra
    )
    wait_seconds = getattr(error, "retry_after_seconds", None)
    if wait_seconds is not None:
        answer.headers["Retry-After"] = str(wait_seconds)
    return answer


def let_go(error: BaseException | None) -> None:
    """Forget where an answered error came from.

    An error that crossed a thread is in a cycle with its own traceback, whose frames hold the
    request's body. The collector would not come by for hundreds of requests: they are few objects,
    of a megabyte each.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    kind: str,
    hint: str = "",
    extra: Mapping[str, object] | None = None,
) -> Response:
    """Return one problem as an answer."""
    body = {
        "type": f"https://mlreg.dev/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "kind": kind,
        "hint": hint,
        **(extra or {}),
    }
    content = json.dumps(body, ensure_ascii=False, default=str).encode("utf-8", "replace")
    return Response(content, int(status), _headers(status), MEDIA_TYPE)


def _headers(status: int) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": RETRY_AFTER_SECONDS}
    return {}


async def _registry_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RegistryError)  # noqa: S101 - as installed
    return problem_of(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as installed
    let_go(error)
    found = [
        {"field": ".".join(str(part) for part in item["loc"][1:]), "problem": item["msg"]}
        for item in error.errors()[:20]
    ]
    detail = "; ".join(f"{item['field'] or 'body'}: {item['problem']}" for item in found)
    return problem(422, "invalid_request", detail, kind="invalid", extra={"errors": found})


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as installed
    kind = "not_found" if error.status_code == HTTPStatus.NOT_FOUND else "invalid"
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    answer = problem(error.status_code, code, str(error.detail), kind=kind)
    answer.headers.update(error.headers or {})
    return answer


async def _database_error(request: Request, error: Exception) -> Response:
    """Say 503 to what passes (time-outs, locks, restarts), 507 to a full disk, 500 to our bugs.

    Who loses a race for a name or a number is told so, in our words and not in PostgreSQL's.
    """
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    if sqlstate is None or sqlstate in _PASSING:
        detail = "the database is busy or restarting"
        return problem(503, "database_busy", detail, kind="unavailable", hint="Try again.")
    if sqlstate == _TAKEN:
        detail = "another request has just made what this one wanted to make"
        return problem(409, "just_made", detail, kind="refused", hint="Look at what is there now.")
    if sqlstate == _FULL:
        return problem_of(StorageFullError(where="the database"))
    if sqlstate.startswith(_BAD_VALUES):
        LOG.warning("a value in %s %s: %s", request.method, request.url.path, sqlstate)
        return problem(422, "invalid_value", "a value cannot be kept", kind="invalid")
    return await _unexpected(request, error)


async def _pool_error(_request: Request, _error: Exception) -> Response:
    detail = "all connections to the database are in use"
    return problem(503, "database_busy", detail, kind="unavailable", hint="Try again.")


async def _hung_up(_request: Request, _error: Exception) -> Response:
    """Answer who is gone: no bug of ours, and anybody can do it all day long."""
    return problem(400, "body_cut_off", "the body ended before its end", kind="invalid")


async def _unexpected(request: Request, error: Exception) -> Response:
    LOG.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "internal", "the server failed; its log says how", kind="internal")
