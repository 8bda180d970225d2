"""Further roles for single models, by the name that tokens bear.

What always holds: a principal has at most one grant on a model; nobody grants more than they may
do; every API process knows of a change within a second, for tokens that it has checked before too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError
from mlreg.registry.domain.tokens import checked_holder
from mlreg.registry.services import audit
from mlreg.registry.services.access import check_covered
from mlreg.registry.services.catalog import get_model, id_of
from mlreg.registry.store import tokens as rows
from mlreg.registry.store.changes import notify
from mlreg.registry.store.notifications import TOKEN_CHANNEL
from mlreg.registry.store.tables import ModelGrant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.registry.domain.permissions import Role
    from mlreg.registry.store.database import ReadSession, WriteSession


class GrantNotFoundError(NotFoundError):
    """The principal has no grant on that model."""

    code = "grant_not_found"
    hint = "`mlreg token grants` shows what there is."

    def __init__(self, *, principal: str, model: str) -> None:
        super().__init__(f"{principal} has no grant on model {model!r}")


def grant(
    session: WriteSession, principal: str, model: str, role: Role, *, actor: Actor, now: datetime
) -> ModelGrant:
    """Give whoever bears tokens of this name a role on one model, in place of a former one.

    Raises:
        InvalidNameError, ReservedNameError: the principal is no name of a token.
        ModelNotFoundError: there is no such model.
        TooStrongError: the role may do more than its giver.
    """
    principal = checked_holder(principal)
    check_covered(actor, Actor(principal, "service", role, frozenset({model})))
    model_id = id_of(get_model(session, model))
    row = session.merge(
        ModelGrant(
            principal=principal,
            model_id=model_id,
            role=role,
            granted_by=actor.name,
            granted_at=now,
        )
    )
    _tell(session, "grant.give", row, model, actor=actor, now=now)
    return row


def withdraw(
    session: WriteSession, principal: str, model: str, *, actor: Actor, now: datetime
) -> None:
    """Take a grant back.

    Raises:
        ModelNotFoundError, GrantNotFoundError: there is none to take.
    """
    row = rows.find_grant(session, principal, id_of(get_model(session, model)))
    if row is None:
        raise GrantNotFoundError(principal=principal[:63], model=model)
    session.delete(row)
    _tell(session, "grant.withdraw", row, model, actor=actor, now=now)


def list_grants(session: ReadSession) -> Sequence[tuple[ModelGrant, str]]:
    """Return every grant with the name of its model, by principal and model."""
    return rows.list_grants(session)


def _tell(
    session: WriteSession, action: str, row: ModelGrant, model: str, *, actor: Actor, now: datetime
) -> None:
    notify(session, TOKEN_CHANNEL, row.principal)
    body = {"principal": row.principal, "role": row.role}
    audit.record(session, action=action, subject=f"model:{model}", actor=actor, body=body, now=now)
