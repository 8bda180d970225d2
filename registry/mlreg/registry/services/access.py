"""Who may come in: tokens, issued once, checked by digest, revoked at once.

What always holds: nobody is let in without a valid token; the answer to a wrong, an expired, a
revoked and an unknown token is the same, and takes the same steps; only the SHA-256 of a token is
stored; nobody makes a token that may do more than its maker. Token life is in real time, never
business time.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import col, select, update

from mlreg.registry.domain.actor import SYSTEM, Actor
from mlreg.registry.domain.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    UnauthenticatedError,
)
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.permissions import Role
from mlreg.registry.domain.tokens import TokenKind, checked_holder, make_token, parse_token
from mlreg.registry.services import audit
from mlreg.registry.services.catalog import get_model
from mlreg.registry.store import tokens as rows
from mlreg.registry.store.changes import notify
from mlreg.registry.store.notifications import TOKEN_CHANNEL
from mlreg.registry.store.tables import Token

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

DEFAULT_DAYS: dict[TokenKind, int] = {"person": 30, "service": 90}
MAX_DAYS = 366
ADMIN_NAME = "admin"
PAGE_COOKIE = "mlreg_session"
MAX_LISTED = 1_000
NO_ROW, NO_TOKEN = "0" * 64, "f" * 64


class TokenNotFoundError(NotFoundError):
    """No token has this id."""

    code = "token_not_found"
    hint = "`mlreg token list` shows the ids."

    def __init__(self, *, token_id: str) -> None:
        super().__init__(f"there is no token {token_id[:40]!r}")


class InvalidTokenLifeError(InvalidError):
    """A life that is not between one day and a year."""

    code = "invalid_token_life"

    def __init__(self, *, days: int) -> None:
        super().__init__(f"a token lives 1 to {MAX_DAYS} days, not {days}")


class TooStrongError(NotAllowedError):
    """What is to be given may do more than the one who gives it."""

    code = "stronger_than_its_maker"

    def __init__(self, *, actor: str, role: str) -> None:
        super().__init__(f"{actor} may not hand out {role}: it may do more than {actor} itself")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A checked token: who bears it, and until when (None: the first admin token of a machine)."""

    token_id: str
    actor: Actor
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token; `bearer` is its whole text, to be shown once."""

    token_id: str
    name: str
    kind: TokenKind
    role: Role
    models: frozenset[str] | None
    expires_at: datetime | None
    bearer: str


def check_bearer(session: ReadSession, bearer: str, now: datetime) -> Bearer:
    """Return who bears this token at the real time `now`, and until when.

    Raises:
        UnauthenticatedError: it is malformed, unknown, expired or revoked; each of them costs one
            query and one comparison, so that the time to the answer does not tell which it was.
    """
    token = parse_token(bearer)
    row = rows.find_token(session, token.id if token else "")
    same = hmac.compare_digest(row.digest if row else NO_ROW, token.digest if token else NO_TOKEN)
    if row is None or not (same and is_valid(row, now)):
        raise UnauthenticatedError
    return reload_bearers(session, [row.id])[row.id]


def is_valid(token: Token, now: datetime) -> bool:
    """Whether a token is neither revoked nor at its end."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def reload_bearers(session: ReadSession, token_ids: Collection[str]) -> dict[str, Bearer]:
    """Return who bears these tokens as of now, with their grants; without the revoked ones."""
    return {
        row.id: Bearer(row.id, rows.actor_of(row, grants), row.expires_at)
        for row, grants in rows.list_living(session, token_ids)
    }


def issue_token(  # noqa: PLR0913 - a token's six fields
    session: WriteSession,
    name: str,
    *,
    kind: TokenKind,
    role: Role,
    models: Collection[str] | None = None,
    days: int | None = None,
    actor: Actor,
    now: datetime,
) -> IssuedToken:
    """Make a token for a person or a service; its text is in the answer and nowhere else.

    Args:
        session: the transaction whose commit makes it valid.
        name: whose it is; the grants of that name are its own too.
        kind: a person's rollback freezes automation.
        role: what it may do.
        models: the models that the role is for; None is every one, those to come too.
        days: how long it lives; by default 30 for a person, 90 for a service.
        actor: who makes it.
        now: the real time.

    Raises:
        InvalidTokenLifeError: `days` is not between 1 and 366.
        InvalidNameError: the name, or a model's, is not one.
        ReservedNameError: the service itself acts under that name.
        TooStrongError: it could do what its maker may not.
        ModelNotFoundError: it is for a model that is not there.
    """
    life = DEFAULT_DAYS[kind] if days is None else days
    if not 1 <= life <= MAX_DAYS:
        raise InvalidTokenLifeError(days=life)
    name = checked_holder(name)
    scope = None if models is None else frozenset(checked_name(model) for model in models)
    bearer = Actor(name, kind, role, scope, rows.grants_of(session, name))
    check_covered(actor, bearer)
    check_models(session, scope)
    return issue(session, bearer, now + timedelta(days=life), actor=actor, now=now)


def check_models(session: ReadSession, models: Collection[str] | None) -> None:
    """Refuse a name that is no model's, as grants, keys and webhooks do.

    So a slip of the pen is seen at once, and nobody comes to own what is created later.

    Raises:
        ModelNotFoundError: names the first that is not there.
    """
    for model in sorted(models or ()):
        get_model(session, model)


def check_covered(giver: Actor, taker: Actor) -> None:
    """Refuse to hand out more than the giver has.

    Raises:
        TooStrongError: the taker could do what the giver may not.
    """
    if not giver.covers(taker):
        raise TooStrongError(actor=giver.name, role=taker.role)


def ensure_admin_token(session: WriteSession, now: datetime) -> str | None:
    """Return the text of a new admin token when no token exists yet, else None."""
    if session.exec(select(Token.id).limit(1)).first() is not None:
        return None
    admin = Actor(ADMIN_NAME, "person", "admin")
    return issue(session, admin, None, actor=SYSTEM, now=now).bearer


def renew_admin_token(session: WriteSession, now: datetime) -> str:
    """End every token of the first start's kind and return the text of a new one.

    For who has access to the server's own data folder or database, and has lost the token.
    """
    former = select(Token.id).where(
        Token.name == ADMIN_NAME, col(Token.expires_at).is_(None), col(Token.revoked_at).is_(None)
    )
    for token_id in session.exec(former).all():
        revoke_token(session, token_id, actor=SYSTEM, now=now)
    admin = Actor(ADMIN_NAME, "person", "admin")
    return issue(session, admin, None, actor=SYSTEM, now=now).bearer


def list_tokens(session: ReadSession) -> Sequence[Token]:
    """Return tokens, newest first, a thousand at most."""
    newest = select(Token).order_by(col(Token.created_at).desc(), Token.id)
    return session.exec(newest.limit(MAX_LISTED)).all()


def revoke_token(session: WriteSession, token_id: str, *, actor: Actor, now: datetime) -> Token:
    """End a token; every API process learns of it within a second.

    Raises:
        TokenNotFoundError: no token has this id.
    """
    row = session.get(Token, token_id, with_for_update=True)
    if row is None:
        raise TokenNotFoundError(token_id=token_id)
    if row.revoked_at is None:
        row.revoked_at = now
        notify(session, TOKEN_CHANNEL, token_id)
        audit.record(
            session,
            action="token.revoke",
            subject=f"token:{token_id}",
            actor=actor,
            body={"name": row.name, "role": row.role},
            now=now,
        )
    return row


def note_use(session: WriteSession, token_ids: Collection[str], now: datetime) -> None:
    """Write when these tokens were last used; called now and then, not on every request."""
    session.exec(update(Token).where(col(Token.id).in_(token_ids)).values(last_used_at=now))


def issue(
    session: WriteSession,
    bearer: Actor,
    expires_at: datetime | None,
    *,
    actor: Actor,
    now: datetime,
    evidence: Mapping[str, object] | None = None,
) -> IssuedToken:
    """Make a token for this bearer, whom the caller has checked; `evidence` goes to the audit."""
    kind: TokenKind = "person" if bearer.is_person else "service"
    token = make_token(kind, secrets.choice)
    models = None if bearer.models is None else sorted(bearer.models)
    row = Token(
        id=token.id,
        kind=kind,
        name=bearer.name,
        role=bearer.role,
        models=models,
        digest=token.digest,
        created_at=now,
        created_by=actor.name,
        expires_at=expires_at,
    )
    session.add(row)
    body = {"name": bearer.name, "role": bearer.role, "kind": kind, "models": models}
    audit.record(
        session,
        action="token.create" if evidence is None else "token.exchange",
        subject=f"token:{token.id}",
        actor=actor,
        body={**body, **(evidence or {})},
        now=now,
    )
    return IssuedToken(
        token.id, bearer.name, kind, bearer.role, bearer.models, expires_at, token.text
    )
