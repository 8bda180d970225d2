"""Pages, asked for in one way: `limit` items behind `cursor`, which was `next` of the page before.

What always holds: a cursor names the last item that was seen, so a page deep in a list costs what
the first one does, and items that come or go meanwhile neither repeat nor hide others. What is in
a cursor is the list's own business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Query

from mlreg.client.wire.base import Answer, Page
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.pages import MAX_PAGE

MAX_NUMBER = 2**63 - 1

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="The most items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next` of the page before; none is the first.")
]


Before = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="`next` of the page before; none is the first."),
]
Item = TypeVar("Item", bound=Answer)


class InvalidCursorError(InvalidError):
    """A cursor that this list did not give out."""

    code = "invalid_cursor"
    hint = "Begin without one, and then send the `next` of each page as it is."

    def __init__(self, *, cursor: str) -> None:
        super().__init__(f"{cursor[:80]!r} is no cursor of this list")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list is asked for."""

    cursor: str | None
    limit: int

    def after(self, name: str) -> str:
        """Return the name behind which the page begins, in a list that goes up by names."""
        return max(name, self.cursor or "")

    def below(self, number: int | None = None) -> int | None:
        """Return the number below which the page begins, in a list that goes down by numbers.

        Raises:
            InvalidCursorError: the cursor is none that such a list gives out.
        """
        if self.cursor is None:
            return number
        digits = self.cursor.isascii() and self.cursor.isdigit()
        if not digits or not 0 < int(self.cursor) <= MAX_NUMBER:
            raise InvalidCursorError(cursor=self.cursor)
        return int(self.cursor) if number is None else min(int(self.cursor), number)


def numbered_page(
    items: Sequence[Item], limit: int, number: Callable[[Item], int | str]
) -> Page[Item]:
    """Cut a list that was fetched with one item more than `limit`; the number is the cursor."""
    more = len(items) > limit
    return Page(items=list(items[:limit]), next=str(number(items[limit - 1])) if more else None)


async def page_request(cursor: Cursor = None, limit: Limit = 100) -> PageRequest:
    """Return which page a request asks for."""
    return PageRequest(cursor, limit)


Paging = Annotated[PageRequest, Depends(page_request)]
