"""Queries of tokens and of the grants of those who bear them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlmodel import col, delete, select

from mlreg.registry.domain.actor import Actor, ActorKind
from mlreg.registry.domain.permissions import Role
from mlreg.registry.store.tables import Model, ModelGrant, Token

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

Grants = tuple[tuple[str, Role], ...]


def find_token(session: ReadSession, token_id: str) -> Token | None:
    """Return the token of that id."""
    return session.exec(select(Token).where(Token.id == token_id)).one_or_none()


def grants_of(session: ReadSession, principal: str) -> Grants:
    """Return the further roles of whoever bears tokens of that name."""
    query = select(Model.name, ModelGrant.role).join(Model).order_by(Model.name)
    found = session.exec(query.where(ModelGrant.principal == principal))
    return tuple((model, cast("Role", role)) for model, role in found)


def list_living(session: ReadSession, token_ids: Collection[str]) -> Iterator[tuple[Token, Grants]]:
    """Return those of these tokens that are not revoked, each with its name's grants."""
    query = (
        select(Token, Model.name, ModelGrant.role)
        .outerjoin(ModelGrant, col(ModelGrant.principal) == col(Token.name))
        .outerjoin(Model, col(Model.id) == col(ModelGrant.model_id))
        .where(col(Token.id).in_(token_ids), col(Token.revoked_at).is_(None))
        .order_by(Token.id, Model.name)
    )
    grants: dict[str, list[tuple[str, Role]]] = {}
    tokens: dict[str, Token] = {}
    for token, model, role in session.exec(query):
        tokens[token.id] = token
        grants.setdefault(token.id, [])
        if model is not None:
            grants[token.id].append((model, cast("Role", role)))
    yield from ((token, tuple(grants[key])) for key, token in tokens.items())


def list_named(session: ReadSession, name: str) -> Sequence[Token]:
    """Return every token of that name, revoked and ended ones too."""
    return session.exec(select(Token).where(Token.name == name).order_by(Token.id)).all()


def actor_of(token: Token, grants: Grants) -> Actor:
    """Return who bears a token."""
    models = None if token.models is None else frozenset(token.models)
    return Actor(
        token.name, cast("ActorKind", token.kind), cast("Role", token.role), models, grants
    )


def list_grants(session: ReadSession) -> Sequence[tuple[ModelGrant, str]]:
    """Return every grant with the name of its model, by principal and model."""
    query = select(ModelGrant, Model.name).join(Model)
    return session.exec(query.order_by(ModelGrant.principal, Model.name)).all()


def find_grant(session: WriteSession, principal: str, model_id: int) -> ModelGrant | None:
    """Return a grant, its row locked until the commit."""
    return session.get(ModelGrant, (principal, model_id), with_for_update=True)


def sweep_exchanged(session: WriteSession, before: datetime) -> None:
    """Forget exchanged tokens that ended before a moment, but for revoked ones.

    The audit log remembers them all; a promote that waits asks whether its asker was revoked.
    """
    ended = (col(Token.expires_at) < before) & col(Token.revoked_at).is_(None)
    session.execute(delete(Token).where(ended, col(Token.created_by).startswith("oidc:")))
