"""The route of search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mlreg.client.wire.base import Page
from mlreg.client.wire.versions import VersionAnswer
from mlreg.registry.api.context import Caller, Reading
from mlreg.registry.api.paging import Paging
from mlreg.registry.api.permission import may
from mlreg.registry.api.versions import answer_of
from mlreg.registry.domain.search_language import MAX_LENGTH
from mlreg.registry.services.search import search

router = APIRouter(prefix="/search", tags=["search"])
Question = Annotated[
    str,
    Query(
        max_length=MAX_LENGTH,
        description="What must hold, in the language of docs/reference/search.md.",
        examples=["lane:refit metric.auc>=0.8 -tag.team=risk"],
    ),
]


@router.get("", dependencies=[may("read")])
def search_versions(
    q: Question, reading: Reading, caller: Caller, paging: Paging
) -> Page[VersionAnswer]:
    """Find versions of all models that the caller may read, the newest registration first."""
    with reading() as session:
        page = search(
            session,
            q,
            models=caller.models_for("read"),
            before=paging.below(),
            limit=paging.limit,
        )
    items = [answer_of(found.model, found.version) for found in page.items]
    return Page(items=items, next=page.next)
