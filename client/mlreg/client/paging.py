"""Walking through the pages of a listing: one loop for every noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.client.wire.base import Page

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
