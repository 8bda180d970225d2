"""Examples for the OpenAPI document: one value for every schema, made of the words of the field.

What always holds: an example fits its schema (a test holds each against it); equal schemas have
equal examples; a field that is known by name has a value that such a field has in life.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]

MAX_DEPTH = 12
_DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_OTHER = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_MOMENT = "2026-03-01T12:00:00Z"
_TEXTS = ("flights", _DIGEST, "https://ci.example.org", "12", "3f2a", "30d")
KNOWN: dict[str, object] = {
    "model": "flights",
    "name": "flights",
    "environment": "production",
    "number": 12,
    "version": 12,
    "champion": 12,
    "parent": 11,
    "revision": 4,
    "lane": "full",
    "trainer": "lightgbm",
    "flavour": "lightgbm-text",
    "created_by": "ci",
    "trained_by": "ci",
    "actor": "anna",
    "by": "anna",
    "reason": "better on every slice",
    "description": "nightly retrain",
    "task": "binary",
    "classes": ["0", "1"],
    "positive_class": "1",
    "dtype": "float",
    "commit": "3f2a9c1e5b7d4f60812a3b4c5d6e7f8091a2b3c4",
    "remote": "https://github.com/acme/models.git",
    "path": "model.txt",
    "size": 300_000,
    "digest": _DIGEST,
    "manifest": _OTHER,
    "snapshot": _DIGEST,
    "snapshots": [_DIGEST],
    "feature_contract": _OTHER,
    "contract": [{"name": "temp", "dtype": "float"}],
    "features": [{"name": "temp", "dtype": "float"}],
    "hyperparameters": {"objective": "binary", "num_leaves": 31},
    "params": [{"name": "num_leaves", "before": 31, "after": 63}],
    "seeds": {"seed": 7},
    "metrics": {"auc": 0.81, "log_loss": 0.42},
    "tags": {"team": "risk"},
    "packages": {"lightgbm": "4.6.0", "numpy": "2.4.1"},
    "python": "CPython 3.11.9",
    "platform": "Linux-6.1.0-x86_64",
    "cpu": "AMD EPYC 7B13 x 8",
    "missing": [],
    "allow_missing": [],
    "next": "11",
    "verdict": "accepted",
    "code": "not_found",
    "kind": "person",
    "role": "ci",
    "cursor": "11",
}


def example_of(schema: Schema, schemas: Mapping[str, Schema], name: str = "") -> Any:  # noqa: ANN401
    """Return a value that fits a schema.

    Args:
        schema: in JSON Schema, as OpenAPI 3.1 has it.
        schemas: what `#/components/schemas/…` refers to.
        name: of the field that has it, if any.
    """
    return _example(schema, schemas, name, 0)


def _example(schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int) -> Any:  # noqa: ANN401
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, name, depth + 1)
    if options:
        return _first(options, schemas, name, depth)
    given = _given(schema, name)
    return given[0] if given else _typed(schema, schemas, name, depth)


def _given(schema: Schema, name: str) -> Sequence[object]:
    """Return the values that a schema, or its field's name, gives by itself, the best first."""
    named = [KNOWN[name]] if name in KNOWN else []
    if "enum" in schema:
        return [value for value in named if value in schema["enum"]] or schema["enum"]
    known = [value for value in named if _is_of(value, schema)]
    return schema.get("examples") or ([schema["const"]] if "const" in schema else known)


def _first(options: list[Schema], schemas: Mapping[str, Schema], name: str, depth: int) -> Any:  # noqa: ANN401
    """Return an example of the first option that is not null; null where it would go too deep."""
    null = any(option.get("type") == "null" for option in options)
    if null and depth > MAX_DEPTH // 2:
        return None
    return _example(
        next((option for option in options if option.get("type") != "null"), {"type": "null"}),
        schemas,
        name,
        depth + 1,
    )


def _typed(schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int) -> Any:  # noqa: ANN401
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, schemas, depth)
    if "prefixItems" in schema:
        return [_example(item, schemas, "", depth + 1) for item in schema["prefixItems"]]
    if kind == "array":
        least = max(1, schema.get("minItems", 0))
        item = cast("Schema", schema.get("items", {}))
        deep = depth >= MAX_DEPTH and not schema.get("minItems")
        return [] if deep else [_example(item, schemas, name, depth + 1)] * least
    if kind in {"integer", "number"}:
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return max(1, lowest) if "maximum" not in schema else min(schema["maximum"], max(1, lowest))
    return {"boolean": False, "null": None, "string": _text(schema, name)}.get(str(kind), "…")


def _object(schema: Schema, schemas: Mapping[str, Schema], depth: int) -> dict[str, Any]:
    fields = cast("Mapping[str, Schema]", schema.get("properties", {}))
    required = set(schema.get("required", ()))
    found = {
        name: _example(field, schemas, name, depth + 1)
        for name, field in fields.items()
        if name in required or depth < MAX_DEPTH
    }
    patterns = list(schema.get("patternProperties", {}).values())
    more = patterns[0] if patterns else schema.get("additionalProperties")
    if isinstance(more, Mapping) and not fields:
        found["key"] = _example(more, schemas, "", depth + 1)
    return found


def _text(schema: Schema, name: str) -> str:
    if schema.get("format") == "date-time":
        return _MOMENT
    pattern = schema.get("pattern")
    if pattern is not None:
        return next((text for text in _TEXTS if re.search(pattern, text)), "flights")
    return str(name or "text")[: schema.get("maxLength", 80)]


def _is_of(known: object, schema: Schema) -> bool:
    """Whether a known value is of the schema's type, as far as a name can be trusted."""
    kind = {str: "string", int: "integer", list: "array", dict: "object"}[type(known)]
    if kind != schema.get("type") or "format" in schema:
        return False
    if "pattern" in schema:
        return re.search(schema["pattern"], str(known)) is not None
    if isinstance(known, list) and known:
        wanted: str | None = schema.get("items", {}).get("type")
        return wanted == ("string" if isinstance(known[0], str) else "object")
    return kind != "object" or "properties" not in schema
