"""Exchanging a CI system's ID token for a token of ours that lives a quarter of an hour.

What always holds: nothing of an ID token is believed before its signature was checked, but which
issuer and key it names; every reason to refuse one has the same answer, keys that cannot be had
too, or anybody could ask whom we trust; the reason stands in the server's log and in the audit log;
an ID token is exchanged once. The keys are fetched while no transaction is open.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import jwt

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotFoundError, RefusedError
from mlreg.registry.domain.names import checked_name
from mlreg.registry.domain.oidc import (
    ALGORITHMS,
    CheckedIdToken,
    IdTokenRefusedError,
    Trust,
    check_claims,
    check_trust,
)
from mlreg.registry.services import audit
from mlreg.registry.services.access import IssuedToken, check_covered, check_models, issue
from mlreg.registry.services.oidc_keys import IssuerUnavailableError
from mlreg.registry.store import issuers as rows
from mlreg.registry.store.tables import OidcIssuer
from mlreg.registry.store.tokens import sweep_exchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.registry.domain.permissions import Role
    from mlreg.registry.services.oidc_keys import IssuerKeys
    from mlreg.registry.store.database import ReadSession, WriteSession

LOG = logging.getLogger(__name__)
LIFE = timedelta(minutes=15)
KEPT = timedelta(days=1)
MAX_HEADER_KEYS = 10


class IssuerExistsError(RefusedError):
    """There is an issuer of that name."""

    code = "issuer_exists"
    hint = "Remove it first: what a trust means does not change under its name."

    def __init__(self, *, name: str) -> None:
        super().__init__(f"issuer {name!r} exists already")


class IssuerNotFoundError(NotFoundError):
    """There is no issuer of that name."""

    code = "issuer_not_found"
    hint = "`mlreg issuer list` shows what there is."

    def __init__(self, *, name: str) -> None:
        super().__init__(f"no issuer {name[:63]!r}")


class SeveralIssuersError(RefusedError):
    """A good ID token fits several issuers, and the request does not say which is meant."""

    code = "several_issuers"
    hint = "Say which: `mlreg login --oidc --issuer NAME`."

    def __init__(self, *, names: Sequence[str]) -> None:
        super().__init__(f"the ID token fits several issuers: {', '.join(names)}")


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an ID token says before anything was checked: only good for finding the key."""

    issuer: str
    kid: str | None
    algorithm: str


@dataclass(frozen=True, slots=True)
class Verified:
    """An ID token that keeps to a trust."""

    trust: Trust
    token: CheckedIdToken


def add_issuer(session: WriteSession, trust: Trust, *, actor: Actor, now: datetime) -> OidcIssuer:
    """Trust an issuer's ID tokens.

    Raises:
        InvalidNameError, InvalidIssuerError: the trust is none, or too wide.
        IssuerExistsError: there is one of that name.
        TooStrongError: it would hand out more than its maker may do.
        ModelNotFoundError: it is for a model that is not there.
    """
    checked_name(trust.name, kind="issuer")
    check_trust(trust)
    check_covered(actor, _bearer_of(trust))
    check_models(session, trust.models)
    if rows.find_issuer(session, trust.name) is not None:
        raise IssuerExistsError(name=trust.name)
    body = _plain(trust)
    row = OidcIssuer(**body, created_at=now, created_by=actor.name)
    session.add(row)
    _record(session, "issuer.add", trust.name, actor, body, now)
    return row


def remove_issuer(session: WriteSession, name: str, *, actor: Actor, now: datetime) -> None:
    """Trust an issuer no more; tokens already handed out live their quarter of an hour.

    Raises:
        IssuerNotFoundError: there is none of that name.
    """
    row = rows.find_issuer(session, name)
    if row is None:
        raise IssuerNotFoundError(name=name)
    session.delete(row)
    _record(session, "issuer.remove", name, actor, {}, now)


def list_issuers(session: ReadSession) -> Sequence[OidcIssuer]:
    """Return every issuer that is trusted, by name."""
    return rows.list_issuers(session)


def read_claimed(id_token: str) -> Claimed:
    """Return which issuer and key an ID token names, unchecked.

    Raises:
        IdTokenRefusedError: it is no signed JWT of an algorithm that is taken here.
    """
    try:
        header = jwt.get_unverified_header(id_token)
        payload = jwt.decode(id_token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise IdTokenRefusedError("no JWT") from error
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), payload.get("iss")
    if algorithm not in ALGORITHMS or "crit" in header or "b64" in header:
        raise IdTokenRefusedError("its algorithm is not taken here")
    if not isinstance(issuer, str) or not isinstance(kid, str | None):
        raise IdTokenRefusedError("no iss, or its kid is no text")
    return Claimed(issuer, kid, algorithm)


def find_trusts(session: ReadSession, claimed: Claimed, name: str | None = None) -> list[Trust]:
    """Return the trusts in that issuer, or the one of that name."""
    found = [trust_of(row) for row in rows.issuers_of(session, claimed.issuer)]
    return [
        trust
        for trust in found
        if name in {None, trust.name} and claimed.algorithm in trust.algorithms
    ]


def verify(
    id_token: str, claimed: Claimed, trusts: Sequence[Trust], keys: IssuerKeys, now: datetime
) -> Verified:
    """Check the signature and the claims of an ID token at the real time `now`.

    Raises:
        IdTokenRefusedError: no trust fits it; the reason is logged.
        SeveralIssuersError: several do.
    """
    fitting, reasons = [], ["nobody here trusts this issuer"]
    for trust in trusts:
        try:
            claims = _checked_payload(id_token, claimed, trust, keys)
            fitting.append(Verified(trust, check_claims(trust, claims, now)))
        except IdTokenRefusedError as error:
            reasons.append(f"{trust.name}: {error.reason}")
        except IssuerUnavailableError:
            reasons.append(f"{trust.name}: the issuer's keys cannot be had now")
    if len(fitting) > 1:
        raise SeveralIssuersError(names=[one.trust.name for one in fitting])
    if not fitting:
        raise IdTokenRefusedError("; ".join(reasons[1:] or reasons))
    return fitting[0]


def exchange(session: WriteSession, verified: Verified, *, now: datetime) -> IssuedToken:
    """Spend a verified ID token and make a token of ours for it.

    Raises:
        IdTokenRefusedError: it was exchanged before.
    """
    trust, token = verified.trust, verified.token
    rows.sweep_spent(session, now - KEPT)
    sweep_exchanged(session, now - KEPT)
    if not rows.spend(session, trust.issuer, token.jti, token.expires_at):
        raise IdTokenRefusedError(f"{trust.name}: exchanged before")
    bearer = _bearer_of(trust)
    return issue(
        session,
        bearer,
        now + LIFE,
        actor=bearer,
        now=now,
        evidence={"issuer": trust.name, "jti": token.jti, "claims": dict(token.evidence)},
    )


def trust_of(row: OidcIssuer) -> Trust:
    """Return a stored trust."""
    return Trust(
        name=row.name,
        issuer=row.issuer,
        audience=row.audience,
        algorithms=tuple(row.algorithms),
        claims={name: tuple(values) for name, values in row.claims.items()},
        role=cast("Role", row.role),
        models=None if row.models is None else frozenset(row.models),
        jwks_url=row.jwks_url,
        private=row.private,
    )


def _checked_payload(
    id_token: str, claimed: Claimed, trust: Trust, keys: IssuerKeys
) -> Mapping[str, Any]:
    """Return the claims of an ID token after its signature was found to be good."""
    key = keys.find(trust, claimed.kid, claimed.algorithm)
    try:
        body = jwt.PyJWS().decode(id_token, key, algorithms=[claimed.algorithm])
        claims = json.loads(body)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise IdTokenRefusedError("its signature is not the issuer's") from error
    if not isinstance(claims, dict):
        raise IdTokenRefusedError("its claims are no object")
    return claims


def _bearer_of(trust: Trust) -> Actor:
    return Actor(trust.principal, "service", trust.role, trust.models)


def _plain(trust: Trust) -> dict[str, Any]:
    return {
        **asdict(trust),
        "algorithms": list(trust.algorithms),
        "claims": {name: list(values) for name, values in trust.claims.items()},
        "models": None if trust.models is None else sorted(trust.models),
    }


def _record(
    session: WriteSession,
    action: str,
    name: str,
    actor: Actor,
    body: Mapping[str, object],
    now: datetime,
) -> None:
    audit.record(session, action=action, subject=f"issuer:{name}", actor=actor, body=body, now=now)
