"""Routes of archiving, deleting and restoring, and of what a model may serve."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from mlreg.client.wire.base import Answer
from mlreg.client.wire.models import ModelAnswer, RetirementRequest, UnsafeRequest
from mlreg.client.wire.versions import VersionAnswer
from mlreg.registry.api import models, versions
from mlreg.registry.api.context import Caller, Now, Writing
from mlreg.registry.api.idempotency import Once, OncePerKey
from mlreg.registry.api.permission import may
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import retirement
from mlreg.registry.store.database import WriteSession
from mlreg.registry.store.tables import Model, Version

router = APIRouter(prefix="/models/{model}", tags=["cleanup"])
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@dataclass(frozen=True, slots=True)
class Turn:
    """One request: once per key, in one transaction, by this caller at this moment."""

    writing: Callable[[], AbstractContextManager[WriteSession]]
    once: Once
    caller: Actor
    now: datetime

    def take(self, act: Callable[[WriteSession], Answer]) -> Response:
        """Act, and answer with what came of it."""
        with self.writing() as session:
            return self.once.run(session, self.now, lambda: act(session))

    def with_model(self, verb: Callable[..., Model], model: str, **options: object) -> Response:
        """Let a verb of the service change a model, and answer with it."""
        return self.take(
            lambda session: models.answer_of(
                verb(session, model, actor=self.caller, now=self.now, **options)
            )
        )

    def with_version(
        self, verb: Callable[..., Version], model: str, number: int, reason: str
    ) -> Response:
        """Let a verb of the service change a version, and answer with it."""
        return self.take(
            lambda session: versions.answer_of(
                model,
                verb(session, model, number, reason=reason, actor=self.caller, now=self.now),
            )
        )


def _turn(writing: Writing, once: OncePerKey, caller: Caller, now: Now) -> Turn:
    return Turn(writing, once, caller, now)


OneTurn = Annotated[Turn, Depends(_turn)]


@router.post("/delete", response_model=ModelAnswer, dependencies=[may("version.delete")])
def delete_model(model: str, body: RetirementRequest, turn: OneTurn) -> Response:
    """Delete a model with all its versions; restorable for 30 days, its name never reused."""
    return turn.with_model(retirement.delete_model, model, reason=body.reason)


@router.post("/restore", response_model=ModelAnswer, dependencies=[may("version.delete")])
def restore_model(model: str, body: RetirementRequest, turn: OneTurn) -> Response:
    """Undo the delete of a model, else its archiving."""
    return turn.with_model(retirement.restore_model, model, reason=body.reason)


@router.post("/unsafe", response_model=ModelAnswer, dependencies=[may("access.write")])
def allow_unsafe(model: str, body: UnsafeRequest, turn: OneTurn) -> Response:
    """Let versions whose files can run code when they are loaded go live, or refuse them again."""
    return turn.with_model(retirement.allow_unsafe, model, allowed=body.allowed, reason=body.reason)


@router.post(
    "/versions/{number}/archive",
    response_model=VersionAnswer,
    dependencies=[may("version.write")],
)
def archive_version(model: str, number: Number, body: RetirementRequest, turn: OneTurn) -> Response:
    """Archive a version: hidden from lists and search, not promoted, still downloaded."""
    return turn.with_version(retirement.archive_version, model, number, body.reason)


@router.post(
    "/versions/{number}/delete",
    response_model=VersionAnswer,
    dependencies=[may("version.delete")],
)
def delete_version(model: str, number: Number, body: RetirementRequest, turn: OneTurn) -> Response:
    """Delete a version; refused while it is in service anywhere, restorable for 30 days."""
    return turn.with_version(retirement.delete_version, model, number, body.reason)


@router.post(
    "/versions/{number}/restore",
    response_model=VersionAnswer,
    dependencies=[may("version.delete")],
)
def restore_version(model: str, number: Number, body: RetirementRequest, turn: OneTurn) -> Response:
    """Undo the delete of a version, else its archiving."""
    return turn.with_version(retirement.restore_version, model, number, body.reason)
