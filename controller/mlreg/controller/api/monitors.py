"""Routes of monitors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from mlreg.client.wire.base import Page
from mlreg.client.wire.monitors import ReadingAnswer
from mlreg.controller.store.readings import list_readings
from mlreg.registry.api.context import Reading
from mlreg.registry.api.permission import may
from mlreg.registry.services import catalog

router = APIRouter(prefix="/models/{model}", tags=["monitors"])
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/readings", dependencies=[may("read")])
def readings(  # noqa: PLR0913, PLR0917 - what one may choose by
    model: str,
    reading: Reading,
    environment: str = "production",
    monitor: Word = None,
    subject: Word = None,
    after: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[ReadingAnswer]:
    """List readings, oldest first."""
    with reading() as session:
        found = list_readings(
            session,
            model_id=catalog.id_of(catalog.get_model(session, model)),
            environment=environment,
            monitors=[monitor] if monitor else (),
            after=after,
            until=until,
            subject=subject,
        )
        return Page(items=[ReadingAnswer(**one.model_dump()) for one in found])
