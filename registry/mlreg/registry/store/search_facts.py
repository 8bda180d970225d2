"""The facts of versions as SQL: which ids of some blocks have one.

What always holds: a fact is looked up in the primary key of its table and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, any_, cast, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from mlreg.registry.domain.search_conditions import Number, Text
from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

TEXTS = METADATA.tables["search_text"]
NUMBERS = METADATA.tables["search_number"]
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of ids, newest first: those of `blocks` that are below `below`."""

    blocks: tuple[int, ...]
    below: int


def ids_of(leaf: Text | Number, window: Window) -> Select[tuple[int]]:
    """Return the ids of a window that have a fact, by a scan of the primary key."""
    table = TEXTS if isinstance(leaf, Text) else NUMBERS
    return select(table.c.id).where(
        table.c.key == leaf.key,
        among(table.c.block, window.blocks),
        fits(leaf, table.c.value),
        table.c.id < window.below,
    )


def fits(
    leaf: Text | Number, value: ColumnElement[str] | ColumnElement[float]
) -> ColumnElement[bool]:
    """Return whether a value of a fact is one that is asked for."""
    if isinstance(leaf, Text):
        if leaf.prefix:
            begin = leaf.values[0]
            return and_(value >= begin, value <= begin + LAST) if begin else true()
        return among(value, leaf.values)
    tests = []
    if leaf.low > -math.inf:
        tests.append(value > leaf.low if leaf.open_low else value >= leaf.low)
    if leaf.high < math.inf:
        tests.append(value < leaf.high if leaf.open_high else value <= leaf.high)
    return and_(*tests) if tests else value.is_not(None)


def among(value: ColumnElement[Any], wanted: Sequence[object]) -> ColumnElement[bool]:
    """Return whether a value is one of some, given as one array: one statement for any number."""
    if len(wanted) == 1:
        return value == wanted[0]
    return value == any_(cast(list(wanted), ARRAY(value.type)))
