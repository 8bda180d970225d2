"""Who may come in: tokens, issued once, checked by digest, revoked at once.

What always holds: nobody is let in without a valid token; the answer to a wrong, an expired, a
revoked and an unknown token is the same; only the SHA-256 of a token is stored. Token life is in
real time, never business time.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from sqlmodel import col, select, update

from mlreg.registry.domain.actor import SYSTEM, Actor, ActorKind
from mlreg.registry.domain.errors import InvalidError, NotFoundError, UnauthenticatedError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.permissions import Role
from mlreg.registry.domain.tokens import TokenKind, make_token, parse_token
from mlreg.registry.services import audit
from mlreg.registry.store.changes import notify
from mlreg.registry.store.notifications import TOKEN_CHANNEL
from mlreg.registry.store.tables import Token

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

DEFAULT_DAYS: dict[TokenKind, int] = {"person": 30, "service": 90}
MAX_DAYS = 366
ADMIN_NAME = "admin"
PAGE_COOKIE = "mlreg_session"


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
    expires_at: datetime | None
    bearer: str


def authenticate(session: ReadSession, bearer: str, now: datetime) -> Actor:
    """Return who bears this token at the real time `now`.

    Raises:
        UnauthenticatedError: it is malformed, unknown, expired or revoked.
    """
    return check_bearer(session, bearer, now).actor


def check_bearer(session: ReadSession, bearer: str, now: datetime) -> Bearer:
    """As `authenticate`, with the token's id and end, for a cache to remember.

    Raises:
        UnauthenticatedError: it is malformed, unknown, expired or revoked.
    """
    token = parse_token(bearer)
    row = session.get(Token, token.id) if token else None
    if token is None or row is None or not hmac.compare_digest(row.digest, token.digest):
        raise UnauthenticatedError
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise UnauthenticatedError
    actor = Actor(row.name, cast("ActorKind", row.kind), cast("Role", row.role))
    return Bearer(row.id, actor, row.expires_at)


def issue_token(  # noqa: PLR0913 - a token's six fields
    session: WriteSession,
    name: str,
    *,
    kind: TokenKind,
    role: Role = "admin",
    days: int | None = None,
    actor: Actor,
    now: datetime,
) -> IssuedToken:
    """Make a token for a person or a service; its text is in the answer and nowhere else.

    Raises:
        InvalidTokenLifeError: `days` is not between 1 and 366.
        InvalidNameError: the name is not one.
    """
    life = DEFAULT_DAYS[kind] if days is None else days
    if not 1 <= life <= MAX_DAYS:
        raise InvalidTokenLifeError(days=life)
    expires_at = now + timedelta(days=life)
    return _issue(
        session, Actor(checked_name(name, kind="token"), kind, role), expires_at, actor, now
    )


def ensure_admin_token(session: WriteSession, now: datetime) -> str | None:
    """Return the text of a new admin token when no token exists yet, else None."""
    if session.exec(select(Token.id).limit(1)).first() is not None:
        return None
    return _issue(session, Actor(ADMIN_NAME, "person", "admin"), None, SYSTEM, now).bearer


def renew_admin_token(session: WriteSession, now: datetime) -> str:
    """End every token of the first start's kind and return the text of a new one.

    For who has access to the server's own data folder or database, and has lost the token.
    """
    former = select(Token.id).where(
        Token.name == ADMIN_NAME, col(Token.expires_at).is_(None), col(Token.revoked_at).is_(None)
    )
    for token_id in session.exec(former).all():
        revoke_token(session, token_id, actor=SYSTEM, now=now)
    return _issue(session, Actor(ADMIN_NAME, "person", "admin"), None, SYSTEM, now).bearer


def list_tokens(session: ReadSession) -> Sequence[Token]:
    """Return every token, newest first."""
    return session.exec(select(Token).order_by(col(Token.created_at).desc(), Token.id)).all()


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


def list_ended(session: ReadSession, token_ids: Collection[str]) -> set[str]:
    """Return which of these tokens are revoked or gone."""
    alive = session.exec(
        select(Token.id).where(col(Token.id).in_(token_ids), col(Token.revoked_at).is_(None))
    )
    return set(token_ids) - set(alive)


def note_use(session: WriteSession, token_ids: Collection[str], now: datetime) -> None:
    """Write when these tokens were last used; called now and then, not on every request."""
    session.exec(update(Token).where(col(Token.id).in_(token_ids)).values(last_used_at=now))


def _issue(
    session: WriteSession, bearer: Actor, expires_at: datetime | None, actor: Actor, now: datetime
) -> IssuedToken:
    kind: TokenKind = "person" if bearer.is_person else "service"
    token = make_token(kind, secrets.choice)
    row = Token(
        id=token.id,
        kind=kind,
        name=bearer.name,
        role=bearer.role,
        digest=token.digest,
        created_at=now,
        created_by=actor.name,
        expires_at=expires_at,
    )
    session.add(row)
    audit.record(
        session,
        action="token.create",
        subject=f"token:{token.id}",
        actor=actor,
        body={"name": bearer.name, "role": bearer.role, "kind": kind},
        now=now,
    )
    return IssuedToken(token.id, bearer.name, kind, bearer.role, expires_at, token.text)
