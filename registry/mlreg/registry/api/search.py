"""The route of search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from mlreg.client.wire.base import Page
from mlreg.client.wire.versions import VersionAnswer
from mlreg.registry.api.context import Caller, Reading
from mlreg.registry.api.paging import Paging
from mlreg.registry.api.permission import may
from mlreg.registry.api.versions import page_answer
from mlreg.registry.domain.search_language import MAX_LENGTH
from mlreg.registry.services.search import find_places

router = APIRouter(prefix="/search", tags=["search"])
Question = Annotated[
    str,
    Query(
        max_length=MAX_LENGTH,
        description="What must hold, in the language of docs/reference/search.md.",
        examples=["lane:refit metric.auc>=0.8 -tag.team=risk"],
    ),
]


@router.get("", response_model=Page[VersionAnswer], dependencies=[may("read")])
def search_versions(q: Question, reading: Reading, caller: Caller, paging: Paging) -> Response:
    """Find versions of all models that the caller may read, the newest registration first."""
    with reading() as session:
        page = find_places(
            session,
            q,
            models=caller.models_for("read"),
            before=paging.below(),
            limit=paging.limit,
        )
        return page_answer(session, page)
