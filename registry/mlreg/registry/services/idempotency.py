"""Doing a keyed change once: a retry is given the first answer, not a second act.

What always holds: the key is written in the change's own transaction, so a change that fails leaves
no key behind. `begin` writes it before the change, and two racing requests with one key wait for
each other. Who waits at a lock of its own anyway (a deployment's, a model's) looks for the key
under that lock, and writes it with the answer at the end: one wait for PostgreSQL less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert

from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.store.idempotency_keys import FIND_ANSWER, SAME_KEY
from mlreg.registry.store.pipeline import ask_together
from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import WriteSession

UNANSWERED = 0

_keys = METADATA.tables["idempotency_key"]
_INSERT = insert(_keys)
_TAKE = insert(_keys).on_conflict_do_nothing().returning(_keys.c.key)
_KEEP = (
    update(_keys).where(SAME_KEY).values(status=bindparam("new_status"), body=bindparam("new_body"))
)


class IdempotencyConflictError(RefusedError):
    """A key that came before, with another request."""

    code = "idempotency_conflict"
    hint = "Use a new Idempotency-Key for a new request."

    def __init__(self, *, key: str) -> None:
        super().__init__(f"the idempotency key {key[:40]!r} was used for another request")


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """Who asks what under which key; `digest` names the request's content."""

    actor: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer that was given to a key; `body` is JSON."""

    status: int
    body: str


def begin(session: WriteSession, request: KeyedRequest, now: datetime) -> StoredAnswer | None:
    """Take the key, or return the answer it was given before.

    Raises:
        IdempotencyConflictError: the key stands for another request.
    """
    row = {
        "actor": request.actor,
        "key": request.key,
        "request_digest": request.digest,
        "status": UNANSWERED,
        "body": "",
        "created_at": now,
    }
    (taken,) = ask_together(session, (_TAKE, row))
    if taken is not None:
        return None
    named = {"by": request.actor, "name": request.key}
    digest, status, body = session.execute(FIND_ANSWER, named).one()
    return checked_answer(request, digest, StoredAnswer(status, body))


def checked_answer(request: KeyedRequest, digest: str, answer: StoredAnswer) -> StoredAnswer:
    """Return the answer that a key was given before, if it was to this request.

    Raises:
        IdempotencyConflictError: the key stands for another request.
    """
    if digest != request.digest:
        raise IdempotencyConflictError(key=request.key)
    return answer


def keep_with_key(
    session: WriteSession, request: KeyedRequest, answer: StoredAnswer, now: datetime
) -> None:
    """Remember a key and its answer at the end of the transaction.

    It fails there (409) when the key was taken meanwhile, by a request that waited at another lock.
    """
    row = {
        "actor": request.actor,
        "key": request.key,
        "request_digest": request.digest,
        "status": answer.status,
        "body": answer.body,
        "created_at": now,
    }
    session.at_end(_INSERT, row)


def keep(session: WriteSession, request: KeyedRequest, answer: StoredAnswer) -> None:
    """Remember the answer to a key that `begin` has taken in this transaction."""
    values = {"new_status": answer.status, "new_body": answer.body}
    session.at_end(_KEEP, {"by": request.actor, "name": request.key, **values})
