"""The smallest value that a JSON schema takes: a body that a route will not stumble over."""

from __future__ import annotations

import re

WORDS = ("x", "sha256:" + "0" * 64, "a" * 40, "https://example.com/", "ref", "x_y", "1")


def smallest(schema, parts):
    """Return the smallest value of a schema; `parts` are the document's components."""
    if "$ref" in schema:
        return smallest(parts[schema["$ref"].rsplit("/", 1)[-1]], parts)
    if "const" in schema or "enum" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return smallest(schema[several][0], parts)
    return MAKERS[schema.get("type", "null")](schema, parts)


def _object(schema, parts):
    properties = schema.get("properties", {})
    made = {name: smallest(properties[name], parts) for name in schema.get("required", ())}
    if not properties and schema.get("minProperties"):
        made["x"] = smallest(schema.get("additionalProperties", {}), parts)
    return made


def _string(schema, _parts):
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    pattern = schema.get("pattern", "")
    fitting = [word for word in WORDS if re.search(pattern, word)]
    return fitting[0] if fitting else "x"


def _array(schema, parts):
    return [smallest(schema.get("items", {}), parts)] * schema.get("minItems", 0)


def _number(schema, _parts):
    return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)


MAKERS = {
    "object": _object,
    "string": _string,
    "array": _array,
    "integer": _number,
    "number": _number,
    "boolean": lambda *_: False,
    "null": lambda *_: None,
}


def bodies_of(document):
    """Return the smallest JSON body of each (method, path) that takes one."""
    parts = document.get("components", {}).get("schemas", {})
    found = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if schema is not None:
                found[method.upper(), path] = smallest(schema, parts)
    return found
