"""Digests of a version's record, part by part: what the audit log keeps of it.

What always holds: the digest of a part is the same before it is stored and after it was read back,
though PostgreSQL spells some numbers in other ways (1e+16, -0.0); equal numbers have equal digests.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from mlreg.registry.domain.digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMPACT = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_FRACTION = re.compile(r"(?:^|[:\[,])-?[0-9]+[.eE]")
"""Found in every compact JSON with a number that is not whole digits, and in few others."""
PARTS = ("hyperparameters", "seeds", "environment", "metrics")


def digest_parts(record: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each part of a record that is there."""
    return {part: _digest(record[part]) for part in PARTS if record.get(part) is not None}


def find_altered(registered: Mapping[str, object], record: Mapping[str, object]) -> list[str]:
    """Return the parts of a record that are not what was registered."""
    present = digest_parts(record)
    return [part for part in PARTS if registered.get(part) != present.get(part)]


def _digest(value: object) -> str:
    text = _COMPACT.encode(value)
    if _FRACTION.search(text):
        text = _COMPACT.encode(json.loads(text, parse_float=_number))
    return digest_of(text.encode())


def _number(digits: str) -> float | int:
    """Return a number, whole where its value is: PostgreSQL spells 1e+16 and -0.0 so."""
    number = float(digits)
    return int(Decimal(digits)) if number.is_integer() else number
