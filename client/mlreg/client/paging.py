"""Walking through the pages of a listing: one loop for every noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mlreg.client.wire.base import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_AT_ONCE = 500
Item = TypeVar("Item")


def walk_pages(page_at: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """Yield the items of all pages; each page is asked for when the one before it is used up.

    Args:
        page_at: returns the page at a cursor; None is the first.
    """
    cursor: str | None = None
    while True:
        page = page_at(cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def page_of_any_size(
    page_at: Callable[[str | None, int], Page[Item]], limit: int, cursor: str | None = None
) -> Page[Item]:
    """Return the first items behind a cursor, however many pages of the server they are.

    Args:
        page_at: returns the page at a cursor, of at most so many items.
        limit: the most items that are returned.
        cursor: `next` of the page before; None is the first.
    """
    items: list[Item] = []
    while True:
        page = page_at(cursor, min(limit - len(items), MOST_AT_ONCE))
        items += page.items
        cursor = page.next
        if cursor is None or len(items) >= limit:
            return Page.model_construct(items=items, next=cursor)
