"""What the child that trains may take; beyond it the run has failed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from mlreg.controller.domain.durations import Duration, duration_schema
from mlreg.controller.domain.number_pattern import between
from mlreg.controller.domain.policy_part import PolicyPart

MEBIBYTE = 2**20
_UNITS = {"MiB": MEBIBYTE, "GiB": 2**30}
_SIZE = re.compile(r"([1-9][0-9]{0,5})(MiB|GiB)")
LONGEST = timedelta(days=7)
LEAST_MEMORY = 512
"""In MiB."""
MOST_OF_A_UNIT = 999_999


def _parse_size(given: object) -> object:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    found = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        message = "a size is a whole number of MiB or GiB, such as 512MiB or 8GiB"
        raise ValueError(message)
    return int(found[1]) * _UNITS[found[2]]


def _spell_size(size: int) -> str:
    unit = "GiB" if size % _UNITS["GiB"] == 0 else "MiB"
    return f"{size // _UNITS[unit]}{unit}"


def _checked_length(given: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= given <= LONGEST:
        message = "must be 1s to 7d"
        raise ValueError(message)
    return given


def _size_schema(mebibytes: int) -> dict[str, Any]:
    pattern = f"^(({between(mebibytes, MOST_OF_A_UNIT)})MiB|({between(1, MOST_OF_A_UNIT)})GiB)$"
    return {
        "anyOf": [
            {"type": "string", "pattern": pattern, "examples": ["512MiB", "8GiB"]},
            {"type": "integer", "minimum": mebibytes * MEBIBYTE},
        ]
    }


def _at_least(mebibytes: int) -> AfterValidator:
    def checked(size: int) -> int:
        if size < mebibytes * MEBIBYTE:
            message = f"must be {mebibytes}MiB or more"
            raise ValueError(message)
        return size

    return AfterValidator(checked)


Memory = Annotated[
    int,
    BeforeValidator(_parse_size),
    _at_least(LEAST_MEMORY),
    PlainSerializer(_spell_size),
    WithJsonSchema(_size_schema(LEAST_MEMORY)),
]
Disk = Annotated[
    int,
    BeforeValidator(_parse_size),
    _at_least(1),
    PlainSerializer(_spell_size),
    WithJsonSchema(_size_schema(1)),
]
Length = Annotated[
    Duration,
    AfterValidator(_checked_length),
    WithJsonSchema(duration_schema(timedelta(seconds=1), LONGEST)),
]


class LimitRule(PolicyPart):
    """`{wall: 1h, cpu: 2h, memory: 8GiB, disk: 4GiB}`.

    `cpu` counts all processes and threads of a training; `memory` is address space of a process,
    libraries included, and what all processes may hold together; `disk` is the largest file that
    may be written.
    """

    wall: Length = timedelta(hours=1)
    cpu: Length = timedelta(hours=2)
    memory: Memory = 8 * 2**30
    disk: Disk = 4 * 2**30
