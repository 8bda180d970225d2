"""What every part of the policy file is: declared keys, nothing else, unchanged after reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from mlreg.controller.domain.yaml_file import TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


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


def tagged(name: str) -> Tag:
    """Return the tag of one of several forms; a place in a file leaves it out (`yaml_file.py`)."""
    return Tag(f"{TAG}{name}")


def told_by_key(
    keys: Sequence[str], error_type: str, *, shared: str | None = None
) -> Discriminator:
    """Return what tells parts of a policy apart: the one key that each is named by.

    Args:
        keys: what names them, as `kind` of each; what their tags are made of.
        error_type: of the error where none or several of the keys are there.
        shared: a key that names one part and may stand in others too.
    """

    def key_of(given: Any) -> str | None:  # noqa: ANN401 - whatever stands in a policy
        if not isinstance(given, dict):
            return f"{TAG}{getattr(given, 'kind', None)}"
        named = [key for key in keys if key in given]
        if len(named) > 1 and shared in named:
            named.remove(shared)
        return f"{TAG}{named[0]}" if len(named) == 1 else None

    return Discriminator(
        key_of,
        custom_error_type=error_type,
        custom_error_message=f"must have exactly one of the keys {', '.join(sorted(keys))}",
    )
