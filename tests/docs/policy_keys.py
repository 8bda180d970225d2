"""Every key of the policy file as rows of a page: made of the schema, so of the types.

`python -m tests.docs.policy_keys` writes them into docs/reference/policy.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from mlreg.controller.domain.durations import EXAMPLES
from mlreg.controller.domain.metrics import MetricName
from mlreg.controller.domain.policy_schema import ZONES, policy_schema
from mlreg.controller.domain.upstream import EDITED
from mlreg.controller.domain.watchable import NAMED
from mlreg.controller.gates.kinds import OURS as GATES
from mlreg.controller.services.policy_texts import Kinds
from mlreg.controller.triggers.kinds import OURS as TRIGGERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policy.md"
MARK = "a test compares -->\n"
HEAD = ("| key | what it is | default |", "|---|---|---|")

OF_MODEL = {
    "data.label_delay": "the longest of the target contract",
    "gates": "the usual ones of the task",
}
"""What is filled from the model when a policy is applied."""


def lines():
    """Return the lines of the table; what third parties have installed here is not in it."""
    schema = policy_schema(Kinds({one.kind: one for one in TRIGGERS}, GATES))
    return [*HEAD, *_rows(schema, schema["$defs"], "")]


def _rows(schema, definitions, path):
    for key, part in schema["properties"].items():
        place = f"{path}{key}"
        if place == "alerts":
            yield from _alert_rows(part, definitions)
            continue
        default = OF_MODEL.get(place) or _default(part, key, schema)
        yield f"| `{place}` | {_what(part, definitions)} | {default} |"
        for suffix, inner in _inner(part, definitions):
            yield from _rows(inner, definitions, f"{place}{suffix}")


def _alert_rows(part, definitions):
    kinds = definitions[part["$ref"].rsplit("/", 1)[-1]]["properties"]
    yield f"| `alerts` | keys: {', '.join(f'`{kind}`' for kind in kinds)} | [alerts](alerts.md) |"
    rule = definitions["AlertRule"]
    for key, one in rule["properties"].items():
        yield f"| `alerts.KIND.{key}` | {_what(one, definitions)} | by kind |"


def _inner(part, definitions):
    """Yield what has keys of its own, with how its place is written."""
    for one in part.get("anyOf", part.get("oneOf", [part])):
        if "$ref" in one:
            name = one["$ref"].rsplit("/", 1)[-1]
            found = definitions[name]
            for member in found.get("anyOf", [found]):
                if "properties" in member:
                    yield f"{_kind(name)}.", member
        elif "oneOf" in one and one is not part:
            yield from _inner(one, definitions)
        elif one.get("type") == "array":
            for suffix, inner in _inner(one["items"], definitions):
                yield f"[]{suffix}", inner


def _kind(name):
    return f"{{{name.partition(':')[0]}}}" if ":" in name else ""


def _what(part, definitions):
    listed = _listed_elsewhere(part)
    if listed:
        return listed
    if "anyOf" in part or "oneOf" in part:
        several = part.get("anyOf") or part["oneOf"]
        found = [_what(one, definitions) for one in several if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    if "$ref" in part:
        found = definitions[part["$ref"].rsplit("/", 1)[-1]]
        return "keys" if "properties" in found else _what(found, definitions)
    if "enum" in part or "const" in part:
        values = part.get("enum", [part.get("const")])
        return ", ".join(f"`{json.dumps(one).strip(chr(34))}`" for one in values)
    return _NAMES.get(part.get("type"), _other)(part, definitions)


def _listed_elsewhere(part):
    """Return the words for values that are too many for a table."""
    if part.get("anyOf") == NAMED["anyOf"]:
        return "[a monitor](monitors.md)"
    if set(get_args(MetricName)) <= set(part.get("enum", ())):
        return "[a metric](monitors.md)"
    return "time zone" if part.get("$ref", "").endswith(f"/{ZONES}") else ""


def _text(part, _definitions):
    pattern = part.get("pattern", "")
    if "format" in part:
        return part["format"]
    if pattern == EDITED:
        return "what is followed"
    if part.get("examples") == EXAMPLES:
        return "duration"
    return "size" if "MiB" in pattern else "name" if pattern else "text"


def _number(part, _definitions):
    words = {"integer": "whole number", "number": "number"}
    borders = (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    )
    said = [f"{sign} {part[key]:,}" for key, sign in borders if key in part]
    return ", ".join([words[part["type"]], *said])


def _list(part, definitions):
    most = f", at most {part['maxItems']}" if "maxItems" in part else ""
    items = part.get("items", {})
    inner = "keys" if "$ref" in items or "oneOf" in items else _what(items, definitions)
    return f"list of {inner}{most}"


def _other(part, _definitions):
    return " or ".join(part["type"]) if isinstance(part.get("type"), list) else "keys"


_NAMES = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda *_: "true or false",
    "array": _list,
}


def _default(part, key, schema):
    if key in schema.get("required", ()):
        return "required"
    value = part.get("default")
    if value is None or isinstance(value, dict):
        return "\N{EN DASH}"
    if "MiB" in json.dumps(part):
        return f"`{value / 2**30:g}GiB`"
    return f"`{json.dumps(value).strip(chr(34))}`"


def with_table(page):
    """Return the text of the page with the table as it is now."""
    return f"{page.partition(MARK)[0]}{MARK}" + "".join(f"{line}\n" for line in lines())


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
