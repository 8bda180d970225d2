"""Search: the versions for which a query holds, newest registration first, page by page.

What always holds: archived and deleted versions, and those of archived or deleted models, are not
found; nor is what the caller may not read. The work has a bound that does not depend on how common
the asked-for facts are:

1. a contradiction is answered from the query alone;
2. if a fact that must hold is had by at most 500 versions, those are looked at one by one;
3. else blocks of 8,192 versions are read, from the newest, in windows that double, until a page
   is full: what is common fills it at once, what is rare was case 2. What is left are conditions
   of common facts that hardly ever meet: they cost their facts, of all versions, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.pages import MAX_PAGE, Page
from mlreg.registry.domain.search_conditions import (
    NOTHING,
    All,
    Champion,
    Condition,
    Ids,
    Leaf,
    Member,
    Number,
    Text,
    resolve,
    simplified,
)
from mlreg.registry.domain.search_language import parse_query
from mlreg.registry.domain.search_terms import condition_of
from mlreg.registry.store import search as store
from mlreg.registry.store.search_facts import Window
from mlreg.registry.store.search_index import BLOCK_BITS
from mlreg.registry.store.tables import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlreg.registry.store.database import ReadSession

FEW = 500
FIRST_BLOCKS, MOST_BLOCKS = 2, 8


@dataclass(frozen=True, slots=True)
class Found:
    """A version that a search found, and its model's name."""

    model: str
    version: Version


def find_places(
    session: ReadSession,
    query: str,
    *,
    models: frozenset[str] | None,
    before: int | None = None,
    limit: int = 100,
) -> Page[tuple[int, int]]:
    """Return a page of (model's id, number) of the versions for which a query holds, newest first.

    Args:
        session: of a transaction in which settings of the planner may be changed.
        query: in the language of `domain/search_language.py`.
        models: the models that the caller may read; None is every one.
        before: the cursor of the page before, as in its `next`.
        limit: the most items of this page.

    Raises:
        InvalidQueryError: the query breaks a rule; names the column.
    """
    limit = min(max(limit, 1), MAX_PAGE)
    condition = condition_of(parse_query(query))
    if models is not None:
        condition = All((condition, Text("model", tuple(sorted(models)))))
    condition = simplified(resolve(simplified(condition), _known(session)))
    ids = _ids(session, condition, before, limit + 1)
    items = store.places_of(session, ids[:limit])
    return Page(items=items, next=str(ids[limit - 1]) if len(ids) > limit else None)


def search(
    session: ReadSession,
    query: str,
    *,
    models: frozenset[str] | None,
    before: int | None = None,
    limit: int = 100,
) -> Page[Found]:
    """Return what `find_places` finds as versions with their models' names.

    Raises:
        InvalidQueryError: the query breaks a rule; names the column.
    """
    page = find_places(session, query, models=models, before=before, limit=limit)
    found = [Found(name, row) for name, row in store.versions_at(session, page.items)]
    return Page(items=found, next=page.next)


def _known(session: ReadSession) -> Callable[[Leaf], Condition]:
    def known(leaf: Leaf) -> Condition:
        if isinstance(leaf, Champion):
            return Ids(tuple(store.champion_ids(session, leaf.environment)))
        if isinstance(leaf, Member):
            found = store.find_sets(session, leaf.kind, leaf.name, prefix=leaf.prefix)
            sets = {one for value, ids in found.items() if leaf.accepts(value) for one in ids}
            return Text(f"#{leaf.kind}", tuple(sorted(sets)))
        return leaf

    return known


def _ids(
    session: ReadSession, condition: Condition, before: int | None, limit: int
) -> Sequence[int]:
    """Return up to `limit` places for which a condition holds, newest first."""
    if condition == NOTHING:
        return []
    horizon = store.look_around(session)
    beyond, hidden = horizon.newest + 1, horizon.hidden
    below = beyond if before is None else min(before, beyond)
    candidates = _candidates(session, condition, below)
    if candidates is not None:
        return store.find_among(session, condition, candidates, hidden, limit)
    found: list[int] = []
    for window in _windows(below):
        wanted = limit - len(found)
        found += store.find_in_window(session, condition, window, hidden, wanted)
        if len(found) >= limit:
            break
    return found


def _candidates(session: ReadSession, condition: Condition, below: int) -> Sequence[int] | None:
    """Return all that can hold, if a part that must hold is rare; None if none is."""
    parts = condition.parts if isinstance(condition, All) else (condition,)
    named = [part.ids for part in parts if isinstance(part, Ids)]
    if named:
        return [one for one in min(named, key=len) if one < below]
    leaves = [part for part in parts if isinstance(part, Text | Number)]
    everywhere = Window(tuple(range((below >> BLOCK_BITS) + 1)), below)
    return store.smallest(session, leaves, everywhere, FEW)


def _windows(below: int) -> Iterator[Window]:
    """Yield windows of doubling size from the newest block down to the first."""
    end, count = (below >> BLOCK_BITS) + 1, FIRST_BLOCKS
    while end > 0:
        begin = max(0, end - count)
        yield Window(tuple(range(begin, end)), below)
        end, count = begin, min(2 * count, MOST_BLOCKS)
