"""What the log's routes share within one app; made with its first request, on its event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from mlreg.controller.domain.batches import Accepted
from mlreg.controller.services.group_commit import Answered, GroupCommit
from mlreg.controller.services.known_models import KnownModels

Waiting = asyncio.Future[Accepted]


@dataclass(frozen=True, slots=True)
class LogParts:
    """The models that rows are logged to, and the group commit of small requests."""

    models: KnownModels
    commits: GroupCommit


async def log_parts_of(request: Request) -> LogParts:
    """Return the parts of this app; a coroutine, so that only its event loop makes them."""
    state = request.app.state
    found: LogParts | None = getattr(state, "log_parts", None)
    if found is None:
        loop = asyncio.get_running_loop()

        def answer(answered: Answered) -> None:
            loop.call_soon_threadsafe(_settle, answered)

        models = KnownModels(state.parts.database)
        commits = GroupCommit(state.parts.database, models, state.parts.clock, answer)
        found = state.log_parts = LogParts(models, commits)
    return found


async def _known_models(request: Request) -> KnownModels:
    return (await log_parts_of(request)).models


Models = Annotated[KnownModels, Depends(_known_models)]


def _settle(answered: Answered) -> None:
    for request, outcome in answered:
        waiting = cast("Waiting", request.asker)
        if waiting.done():  # whoever asked has gone away
            continue
        if isinstance(outcome, Accepted):
            waiting.set_result(outcome)
        else:
            waiting.set_exception(outcome)
