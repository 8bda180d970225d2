"""Durations as people write them in a policy: `90d`, `6h`, `15m`, `30s`, `2w`; whole, positive."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from mlreg.controller.domain.number_pattern import between

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_FORM = re.compile(r"([1-9][0-9]{0,8})([smhdw])")
LONGEST = timedelta(days=36_500)
EXAMPLES = ["6h", "14d"]
"""Of durations, in schemas."""


def parse_duration(value: object) -> timedelta:
    """Return the length of `6h`, `90d` ...

    Raises:
        ValueError: it is not a positive whole number and one of s, m, h, d, w, or is beyond a
            century.
    """
    if isinstance(value, timedelta):
        return value
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        message = "a duration is a whole number and s, m, h, d or w, for example 6h or 14d"
        raise ValueError(message)
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST.total_seconds():
        message = "a duration of at most 100 years"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def spell_duration(length: timedelta) -> str:
    """Return the shortest spelling that `parse_duration` reads back as the same length."""
    seconds = int(length.total_seconds())
    for unit in ("d", "h", "m"):
        if seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def duration_schema(least: timedelta, most: timedelta = LONGEST) -> dict[str, Any]:
    """Return the JSON Schema of durations between two, both whole seconds."""
    units = []
    for unit, seconds in _SECONDS.items():
        low = -(-least // timedelta(seconds=seconds))
        high = min(most // timedelta(seconds=seconds), 10**9 - 1)
        if max(low, 1) <= high:
            units.append(f"({between(max(low, 1), high)}){unit}")
    return {"type": "string", "pattern": f"^({'|'.join(units)})$", "examples": EXAMPLES}


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(spell_duration, return_type=str),
]
