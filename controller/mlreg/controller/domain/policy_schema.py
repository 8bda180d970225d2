"""The policy language as a JSON Schema (draft 2020-12), for editors: made of the types that read.

What always holds: a policy that `read_policy` takes is valid by the schema; kinds of trigger and
gate that are installed here, third parties' too, are in it with their docstrings. What a schema
cannot say (which of two numbers is larger, a whole number written as `2.0`, for JSON has one kind
of number) it lets pass, and `policy apply` refuses.
"""

from __future__ import annotations

import inspect
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import override

from mlreg.controller.domain.durations import duration_schema, spell_duration
from mlreg.controller.domain.policy import PolicyFrame
from mlreg.controller.domain.policy_file import MOST_PARTS
from mlreg.controller.domain.zone import FORMAT, named_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

    from mlreg.controller.domain.policy_file import Kinds

ADDRESS = "/api/v1/schemas/policy.json"
ZONES = "Timezone"
_PLACE = "#/$defs/{model}"
_ATTRIBUTE = re.compile(r"^(?P<names>[a-z_]+(?:, [a-z_]+)*): (?P<text>.*)$")


class _PolicySchema(GenerateJsonSchema):
    """Durations as people write them, and no titles: an editor shows the key."""

    @override
    def encode_default(self, dft: Any) -> Any:
        return spell_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    @override
    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return duration_schema(timedelta(seconds=1))

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def policy_schema(kinds: Kinds) -> dict[str, Any]:
    """Return the schema of a policy file that may name these plugins."""
    definitions: dict[str, Any] = {}
    frame = _schema_of(PolicyFrame, definitions)
    properties = frame["properties"]
    for section, plugins in (("triggers", kinds.triggers), ("gates", kinds.gates)):
        parts = [_plugin(name, kind, definitions) for name, kind in sorted(plugins.items())]
        properties[section] = {"type": "array", "items": {"oneOf": parts}}
    properties["triggers"] |= {"minItems": 1, "description": "When to retrain."}
    properties["gates"]["description"] = (
        "What a challenger must pass; left out: the usual gates of the model's task."
    )
    for section, most in MOST_PARTS.items():
        properties[section]["maxItems"] = most
    for one in (frame, *definitions.values()):
        _name_zones(one)
    definitions[ZONES] = {
        "description": "A time zone by its IANA name.",
        "enum": sorted(named_zones()),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": "mlreg policy",
        **frame,
        "required": [*frame["required"], "triggers"],
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _plugin(name: str, kind: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to a plugin's schema; the key that names it must be there."""
    own = f"{name}:{kind.__name__}"
    schema = _schema_of(kind, definitions)
    schema["required"] = [name, *(key for key in schema.get("required", ()) if key != name)]
    definitions[own] = schema
    return {"$ref": f"#/$defs/{own}"}


def _schema_of(kind: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; those that it refers to go to the definitions."""
    schema = kind.model_json_schema(
        mode="validation", schema_generator=_PolicySchema, ref_template=_PLACE
    )
    definitions.update(schema.pop("$defs", {}))
    for one in (schema, *definitions.values()):
        _describe(one)
    return schema


def _name_zones(schema: dict[str, Any]) -> None:
    """Let keys that take a time zone refer to the one list of them."""
    for key, value in schema.get("properties", {}).items():
        members = value.get("anyOf", [value])
        for place, member in enumerate(members):
            if member.get("format") != FORMAT:
                continue
            listed = {"$ref": f"#/$defs/{ZONES}"}
            if member is not value:
                members[place] = listed
                continue
            kept = {name: value[name] for name in ("default", "description") if name in value}
            schema["properties"][key] = {**listed, **kept}


def _describe(schema: dict[str, Any]) -> None:
    """Hand what a docstring says of its attributes to the keys, and leave the rest to the whole.

    A key of which nothing is said of its own has what is said of the whole: an editor shows the
    key that one stands at. What refers to another definition is described there.
    """
    schema.pop("title", None)
    text = inspect.cleandoc(schema.get("description", ""))
    head, _, attributes = text.partition("\n\nAttributes:\n")
    for names, said in _attributes(attributes):
        for name in names:
            if name in schema.get("properties", {}):
                schema["properties"][name].setdefault("description", said)
    if head:
        schema["description"] = head
        for value in schema.get("properties", {}).values():
            if "$ref" not in json.dumps(value.get("anyOf", value)):
                value.setdefault("description", head)


def _attributes(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield what is said of which attributes; deeper lines go on with the one before."""
    for entry in re.split(r"\n(?! {5})", text):
        match = _ATTRIBUTE.match(" ".join(entry.split()))
        if match:
            yield match["names"].split(", "), match["text"]
