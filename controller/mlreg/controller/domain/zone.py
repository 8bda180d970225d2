"""Time zones that a policy names, by their IANA name: `Europe/Berlin`, `UTC`."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, WithJsonSchema

FORMAT = "time zone"
"""Of the JSON Schema of a zone; `policy_schema` names the zones there, once."""
OF_THE_MACHINE = "localtime"
"""It is there where a machine has set it, and another one on each."""


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{name[:80]!r} is no time zone; use an IANA name such as Europe/Berlin or UTC"
        raise ValueError(message) from error


def named_zones() -> frozenset[str]:
    """Return the names that mean the same on every machine; reads the folder of zones."""
    return frozenset(available_timezones() - {OF_THE_MACHINE})


def _checked(name: str) -> str:
    find_zone(name)
    return name


Timezone = Annotated[
    str, AfterValidator(_checked), WithJsonSchema({"type": "string", "format": FORMAT})
]
