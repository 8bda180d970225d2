"""One page of a long list, and the cursor that asks for the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items in order; `next` is the cursor of the page after, None at the end."""

    items: Sequence[Item]
    next: str | None


def page_of(items: Sequence[Item], limit: int, cursor: str) -> Page[Item]:
    """Cut a list that was fetched with one item more than `limit`.

    Args:
        items: up to `limit + 1` items.
        limit: the items of a page.
        cursor: what names the place after the last item of a full page.
    """
    return Page(items=items[:limit], next=cursor if len(items) > limit else None)
