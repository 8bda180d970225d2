"""The API describes itself: each of the routes that `mlreg serve` has, with errors and examples."""

from __future__ import annotations

import json

import jsonschema
import pytest
from fastapi.routing import APIRoute

from mlreg.registry.api.openapi import JSON, describe_api
from tests.servers.whole_api import whole_api


@pytest.fixture(scope="module")
def app(postgres, template, tmp_path_factory):
    with whole_api(postgres, template, tmp_path_factory.mktemp("openapi"), "openapi") as running:
        yield running


@pytest.fixture(scope="module")
def document(app):
    with app.client() as client:
        return json.loads(client.transport.send(asked()).body)


def asked():
    from mlreg.client.transport import Call

    return Call("GET", "/api/v1/openapi.json")


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_of_the_api_is_described(app, document):
    described = {name for name, _ in operations(document)}
    for method, path, context in app.routes():
        route = context.original_route
        hidden = isinstance(route, APIRoute) and not route.include_in_schema
        if path.startswith("/api/") and not hidden:
            assert f"{method} {path}" in described
    assert len(described) > 60


def test_every_operation_says_what_it_does_and_what_may_go_wrong(document):
    for name, operation in operations(document):
        assert len(operation["summary"].split()) > 1, name
        assert operation["description"], name
        problems = {code for code in operation["responses"] if code >= "400" and code.isdigit()}
        assert {"422", "503"} <= problems, name
        assert "/api/" not in name or "oidc/exchange" in name or "401" in problems, name
        assert name.startswith("GET") or "409" in problems, name
        for code in problems:
            content = operation["responses"][code]["content"]["application/problem+json"]
            assert content["example"]["status"] == int(code), name


def test_every_json_body_has_an_example_that_fits(document):
    schemas = {"components": document["components"]}
    seen = 0
    for name, operation in operations(document):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            content = body.get("content", {}).get(JSON)
            if content is None or not content.get("schema"):
                continue
            example = content["example"]
            jsonschema.validate(example, {**content["schema"], **schemas}), name
            seen += 1
    assert seen > 80


def test_every_answer_has_a_schema(document):
    for name, operation in operations(document):
        good = [code for code in operation["responses"] if code < "400"]
        assert good, name


def test_the_export_of_the_audit_log_is_described_as_what_it_is(document):
    answer = document["paths"]["/api/v1/audit/export"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/jsonl", "text/csv"}


def test_the_document_is_made_once(app, document):
    assert document["paths"].keys() == app.app.openapi_schema["paths"].keys()
    assert describe_api(app.app, "/api/v1") == app.app.openapi_schema
