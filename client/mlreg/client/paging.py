"""Walking through the pages of a listing: one loop for every noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.client.wire.base import Page

Item = TypeVar("Item")


def walk_pages(page_before: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """Yield the items of all pages; each page is asked for when the one before it is used up."""
    before: str | None = None
    while True:
        page = page_before(before)
        yield from page.items
        before = page.next
        if before is None:
            return
