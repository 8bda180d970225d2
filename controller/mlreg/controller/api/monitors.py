"""Routes of monitors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from mlreg.client.wire.base import Page
from mlreg.client.wire.monitors import MetricAnswer, MetricRequest, ReadingAnswer
from mlreg.controller.services import business
from mlreg.controller.store.readings import list_readings
from mlreg.registry.api.context import Caller, Now, Reading, Writing
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
        catalog.check_environment(session, environment)
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


@router.post("/metrics", dependencies=[may("log.write")])
def post_metric(
    model: str, body: MetricRequest, writing: Writing, actor: Caller, now: Now
) -> MetricAnswer:
    """Keep one value of a business metric, once by its key."""
    posted = business.Posted(body.name, body.time, body.value, body.key)
    with writing() as session:
        found = catalog.get_model(session, model)
        fresh = business.post_value(session, found, body.environment, posted, actor=actor, now=now)
    return MetricAnswer(monitor=business.PREFIX + body.name, duplicate=not fresh)
