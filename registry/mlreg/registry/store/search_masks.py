"""A condition over a window of ids, as masks: one bit per id and fact, combined in memory.

What always holds: one statement asks for the ids of all facts of a condition, each by a scan of
the primary key of its table; nothing is joined. So a window costs what its facts are, a condition
of eight terms that half of all versions have costs four scans of the whole, and `or`, `not` and
parentheses cost nothing. PostgreSQL's joins of the same sets hash every id again for every term,
and took three to six times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Integer, LargeBinary, cast, func, literal, select

from mlreg.registry.domain.search_conditions import All, AnyOf, Ids, Not, Number, Text, leaves_of
from mlreg.registry.store.search_facts import ids_of
from mlreg.registry.store.search_index import BLOCK_BITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ScalarSelect

    from mlreg.registry.domain.search_conditions import Condition
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.search_facts import Window

    Mask = NDArray[np.bool_]

FEW = 500
AT_ONCE = 3
_OFFSET = np.dtype(">i4")  # as `int4send` writes it


def ids_in_window(
    session: ReadSession, condition: Condition, window: Window
) -> tuple[Sequence[int], bool]:
    """Return the ids of a window for which a condition holds, newest first, and whether all do.

    Ids that no version has are among them where the condition does not rule them out. Of what must
    hold together, a few parts are asked at once; when those leave few ids, the rest is not asked,
    and these ids are to be looked at one by one.
    """
    low = min(window.blocks) << BLOCK_BITS
    high = min((max(window.blocks) + 1) << BLOCK_BITS, window.below)
    parts = (isinstance(condition, All) and condition.parts) or (condition,)
    holds = np.full(high - low, fill_value=True)
    for begin in range(0, len(parts), AT_ONCE):
        some = All(parts[begin : begin + AT_ONCE])
        leaves = [leaf for leaf in set(leaves_of(some)) if isinstance(leaf, Text | Number)]
        holds &= _holds(some, _masks(session, leaves, window, low, high), low, high)
        if np.count_nonzero(holds) <= FEW:
            break
    found: list[int] = (np.flatnonzero(holds)[::-1] + low).tolist()
    return found, begin + AT_ONCE >= len(parts)


def _masks(
    session: ReadSession, leaves: Sequence[Text | Number], window: Window, low: int, high: int
) -> Mapping[Text | Number, Mask]:
    """Return which ids from `low` until `high` have each of some facts."""
    if not leaves:
        return {}
    asked = [_offsets(leaf, window, low) for leaf in leaves]
    row = session.execute(select(*asked)).one()
    return {leaf: _mask(offsets, high - low) for leaf, offsets in zip(leaves, row, strict=True)}


def _offsets(leaf: Text | Number, window: Window, low: int) -> ScalarSelect[bytes]:
    """Return the ids of a fact as one string of four bytes each, which is quick to read."""
    found = ids_of(leaf, window).subquery()
    offset = func.int4send(cast(found.c.id - low, Integer), type_=LargeBinary)
    empty = literal(b"", LargeBinary)
    return select(func.string_agg(offset, empty, type_=LargeBinary)).scalar_subquery()


def _mask(offsets: bytes | None, size: int) -> Mask:
    mask = np.zeros(size, dtype=np.bool_)
    mask[np.frombuffer(offsets or b"", dtype=_OFFSET)] = True
    return mask


def _holds(condition: Condition, masks: Mapping[Text | Number, Mask], low: int, high: int) -> Mask:
    if isinstance(condition, Text | Number):
        return masks[condition]
    if isinstance(condition, Not):
        return ~_holds(condition.part, masks, low, high)
    if isinstance(condition, Ids):
        inside = [one - low for one in condition.ids if low <= one < high]
        return _mask(np.array(inside, dtype=_OFFSET).tobytes(), high - low)
    if not isinstance(condition, All | AnyOf):
        raise TypeError(condition)
    every = isinstance(condition, All)
    combine = np.logical_and if every else np.logical_or
    found = np.full(high - low, every)
    for part in condition.parts:
        combine(found, _holds(part, masks, low, high), out=found)
    return found
