"""What every part of the policy file is: declared keys, nothing else, unchanged after reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class PolicyPart(BaseModel):
    """A part of the policy file: every key is declared, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def also_written(short: Mapping[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return the `json_schema_extra` of a type that may be written as one value, not as its keys.

    Args:
        short: the JSON Schema of that value.
    """

    def admit(schema: dict[str, Any]) -> None:
        keys = dict(schema)
        schema.clear()
        schema["description"] = keys.pop("description", "")
        schema["anyOf"] = [dict(short), keys]

    return admit
