"""The OpenAPI document: what FastAPI finds out, with what it cannot: errors, examples, the token.

What always holds: every operation has a summary, the problems that it may answer with, and an
example of its JSON body and of its JSON answer; the document is made once, when it is first asked
for. Nothing here changes what a route does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from mlreg.client.wire.deployments import DeploymentAnswer
from mlreg.registry.api.openapi_examples import example_of
from mlreg.registry.api.permission import PUBLIC, action_of_route
from mlreg.registry.api.problems import MEDIA_TYPE

DESCRIPTION = """
A self-hosted model registry and continual-learning controller.

Send `Authorization: Bearer TOKEN` with every request. Errors are RFC 9457 problems with a stable
`code`. A POST that changes something takes an `Idempotency-Key`: repeated under the same key it
answers as the first time. Changes of a deployment take `If-Match` with the `ETag` of its look-up.
Lists are pages: send `next` back as `cursor`.
"""
JSON = "application/json"
LOOK_UP = "/models/{model}/deployments/{environment}"
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "kind", "hint"],
    "properties": {
        "type": {"type": "string", "description": "A URI that names the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence about this case."},
        "code": {"type": "string", "description": "Stable; programs branch on it."},
        "kind": {"type": "string", "description": "The branch of the error tree."},
        "hint": {"type": "string", "description": "What the reader can do, or empty."},
    },
}
_PROBLEMS = {
    401: ("unauthenticated", "authentication is required"),
    403: ("permission_denied", "ci may not promote on model 'flights'"),
    404: ("model_not_found", "no model 'flights'"),
    409: ("refused", "a rule says no"),
    412: ("stale_revision", "revision 3 was expected, but it is 4"),
    413: ("body_too_large", "the body is larger than 1048576 bytes"),
    415: ("unsupported_media_type", "bodies of type 'text/plain' are not taken here"),
    422: ("invalid_request", "limit: Input should be greater than or equal to 1"),
    428: ("precondition_required", "a change of a deployment must say which revision it expects"),
    429: ("too_many_requests", "too many requests; wait a second"),
    503: ("database_busy", "the database is busy or restarting"),
    507: ("storage_full", "no space left in /var/lib/mlreg/artifacts"),
}
_ALWAYS = (422, 429, 503)
_BEHIND_THE_GATE = (401, 403, 404)
_CHANGES = (409, 413, 415, 507)
_OF_A_DEPLOYMENT = (412, 428)


def describe_api(app: FastAPI, prefix: str) -> dict[str, Any]:
    """Return the OpenAPI document of an app.

    Args:
        app: with all its routes.
        prefix: of the API's paths.
    """
    document = get_openapi(
        title="mlreg",
        version=version("mlreg"),
        description=DESCRIPTION.strip(),
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    schemas["Problem"] = PROBLEM
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    document["paths"][prefix + LOOK_UP] = _look_up() | document["paths"].get(prefix + LOOK_UP, {})
    actions = {
        context.path: action_of_route(context) for context in iter_route_contexts(app.routes)
    }
    for path, method, operation in _operations(document):
        _summarise(operation)
        _add_problems(operation, path, method)
        _add_examples(operation, schemas)
        if path in PUBLIC:
            operation["security"] = []
        elif actions.get(path):
            operation["x-action"] = actions[path]
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _summarise(operation: dict[str, Any]) -> None:
    """Take the first line of the route's docstring as its summary, not its function's name."""
    first, _, rest = operation.get("description", "").partition("\n")
    if first:
        operation["summary"] = first.rstrip(".")
        operation["description"] = rest.strip() or first


def _add_problems(operation: dict[str, Any], path: str, method: str) -> None:
    codes = [*_ALWAYS]
    if path not in PUBLIC:
        codes += _BEHIND_THE_GATE
    if method != "get":
        codes += _CHANGES
        codes += _OF_A_DEPLOYMENT if "/deployments/" in path else ()
    for code in sorted(codes):
        operation["responses"][str(code)] = problem_answer(code)


def problem_answer(status: int) -> dict[str, Any]:
    """Return how the document describes an answer of that status, with an example."""
    code, detail = _PROBLEMS[status]
    kinds = {401: "unauthenticated", 403: "not_allowed", 404: "not_found"}
    kinds |= {503: "unavailable", 507: "unavailable"}
    example = {
        "type": f"https://mlreg.dev/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "kind": kinds.get(status, "refused" if status in {409, 412, 428} else "invalid"),
        "hint": "",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def _add_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        content = body.get("content", {}).get(JSON)
        if content is not None and content.get("schema") and "example" not in content:
            content["example"] = example_of(content["schema"], schemas)
    for parameter in operation.get("parameters", ()):
        if "example" not in parameter and parameter.get("required"):
            parameter["example"] = example_of(parameter["schema"], schemas, parameter["name"])


def _look_up() -> dict[str, Any]:
    """Return the one route that FastAPI does not know: it is a plain one, for its speed."""
    answer = DeploymentAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    answer.pop("$defs", None)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("model", "environment")
    ]
    known = {"name": "If-None-Match", "in": "header", "required": False}
    return {
        "get": {
            "tags": ["deployments"],
            "summary": "Look up what serves",
            "description": "Answer with what serves a model in an environment.\n\n"
            "The answer's `ETag` names the revision; sent back as `If-None-Match` it is answered"
            " with 304 while nothing has changed.",
            "operationId": "look_up",
            "parameters": [*parameters, {**known, "schema": {"type": "string"}}],
            "responses": {
                "200": {
                    "description": "Successful Response",
                    "content": {JSON: {"schema": answer}},
                },
                "304": {"description": "Not Modified"},
            },
        }
    }
