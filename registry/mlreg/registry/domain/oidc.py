"""ID tokens of a CI system: what an issuer is trusted for, and which tokens keep to that.

What always holds: only asymmetric algorithms of an allowlist; who a pipeline belongs to is known by
ids, never by names alone, because a name that was given up can be taken by somebody else; an ID
token without a `jti` or an end is none. Time is an argument. Sources: OpenID Connect Core 1.0
§3.1.3.7, RFC 7519 §4.1, RFC 8725 (best current practices for JWT).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from urllib.parse import urlsplit

from mlreg.registry.domain.errors import InvalidError, UnauthenticatedError
from mlreg.registry.domain.permissions import Role

Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: frozenset[str] = frozenset(get_args(Algorithm))
ISSUED = "oidc:"
SKEW = timedelta(seconds=60)
MAX_LIFE = timedelta(days=1)
EXCHANGED_ROLES: frozenset[Role] = frozenset({"viewer", "ci", "operator"})
REGISTERED = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})
ID_OF_NAME = {
    "repository": "repository_id",
    "repository_owner": "repository_owner_id",
    "actor": "actor_id",
    "enterprise": "enterprise_id",
    "project_path": "project_id",
    "namespace_path": "namespace_id",
    "user_login": "user_id",
}
BELONGS_TO = frozenset(
    {"repository_id", "repository_owner_id", "enterprise_id", "project_id", "namespace_id"}
)
SUBJECT_HAS_NAMES = frozenset({"token.actions.githubusercontent.com", "gitlab.com"})
NAMING_SUBJECT = re.compile(
    r"(repo|repository|repository_owner|project_path|namespace_path|enterprise|actor|user_login"
    r"|ref|ref_type|environment|context|workflow|workflow_ref|job_workflow_ref):"
)
"""How a `sub` of GitHub or GitLab begins that is made of names, whoever's server it is of."""
EVIDENCE = (
    *("sub", "repository", "repository_id", "ref", "sha", "workflow_ref", "job_workflow_ref"),
    *("environment", "run_id", "run_attempt", "actor", "project_path", "project_id"),
    *("pipeline_id", "job_id", "user_login", "event_name"),
)


class InvalidIssuerError(InvalidError):
    """An issuer that would be trusted for too much, or cannot be asked for its keys."""

    code = "invalid_issuer"
    hint = "docs/how-to/ci-without-secrets.md has one that holds for each CI system."

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"the issuer cannot be trusted so: {problem}")


class IdTokenRefusedError(UnauthenticatedError):
    """An ID token that is not exchanged; `reason` is for the server's log, not for the answer."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Trust:
    """What an issuer's ID tokens must claim, and what they are exchanged for.

    Attributes:
        name: its name here; those who come by it are called `oidc:<name>`.
        claims: for each of these claims, the values of which the token must have one.
        jwks_url: where the issuer's keys are; None: where its discovery document says.
        private: whether the issuer may be on our own network.
    """

    name: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    claims: Mapping[str, Collection[str]]
    role: Role
    models: frozenset[str] | None = None
    jwks_url: str | None = None
    private: bool = False

    @property
    def principal(self) -> str:
        """The actor's name in the audit log; no token's name has a colon, so no grant fits it."""
        return f"{ISSUED}{self.name}"


@dataclass(frozen=True, slots=True)
class CheckedIdToken:
    """What counts of an ID token that keeps to a trust.

    Attributes:
        evidence: the claims that say who it was, for the audit log.
    """

    jti: str
    expires_at: datetime
    evidence: Mapping[str, str]


def check_trust(trust: Trust) -> None:
    """Refuse a trust that more than the wanted pipelines could come by.

    Raises:
        InvalidIssuerError: with the first thing that is wrong.
    """
    urls = [url for url in (trust.issuer, trust.jwks_url) if url is not None]
    schemes = {"https", "http"} if trust.private else {"https"}
    problem = next(filter(None, (_problem_of_url(url, schemes) for url in urls)), "")
    problem = problem or _problem_of_claims(trust)
    if not trust.algorithms or not ALGORITHMS.issuperset(trust.algorithms):
        problem = problem or f"its algorithms are not of {', '.join(sorted(ALGORITHMS))}"
    if trust.role not in EXCHANGED_ROLES:
        problem = problem or f"no pipeline becomes {trust.role}"
    if problem:
        raise InvalidIssuerError(problem=problem)


def check_claims(trust: Trust, claims: Mapping[str, object], now: datetime) -> CheckedIdToken:
    """Return what counts of the claims of an ID token whose signature was found to be good.

    Raises:
        IdTokenRefusedError: its issuer, audience, times, or what it must claim, do not fit.
    """
    if claims.get("iss") != trust.issuer:
        raise IdTokenRefusedError("another issuer")
    if claims.get("aud") not in (trust.audience, [trust.audience]):
        raise IdTokenRefusedError("another audience")
    expires_at = _check_times(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 255:  # noqa: PLR2004 - as a key in a table
        raise IdTokenRefusedError("no jti")
    for name, accepted in trust.claims.items():
        if _text(claims.get(name)) not in accepted:
            raise IdTokenRefusedError(f"claim {name} does not fit")
    texts = {name: _text(claims.get(name)) for name in EVIDENCE}
    evidence = {name: text[:500] for name, text in texts.items() if text is not None}
    return CheckedIdToken(jti, expires_at, evidence)


def _check_times(claims: Mapping[str, object], now: datetime) -> datetime:
    """Return when the token ends; refuse one of the past, of the future, or of a long life."""
    expires_at, issued_at = _moment(claims, "exp"), _moment(claims, "iat")
    if expires_at is None or issued_at is None:
        raise IdTokenRefusedError("no exp or no iat")
    if expires_at <= now - SKEW:
        raise IdTokenRefusedError("expired")
    if max(issued_at, _moment(claims, "nbf") or issued_at) > now + SKEW:
        raise IdTokenRefusedError("not valid yet")
    if expires_at - issued_at > MAX_LIFE:
        raise IdTokenRefusedError("valid for more than a day")
    return expires_at


def _moment(claims: Mapping[str, object], name: str) -> datetime | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise IdTokenRefusedError(f"{name} is no number")
    if not (math.isfinite(seconds) and 0 <= seconds < 2**33):
        raise IdTokenRefusedError(f"{name} is out of range")
    return datetime.fromtimestamp(seconds, UTC)


def _text(value: object) -> str | None:
    """Return a claim as text, None for what is no scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else None


def _problem_of_url(url: str, schemes: Collection[str]) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return f"{url[:100]!r} is no URL"
    if not host or parts.username is not None or parts.query or parts.fragment:
        return f"{url[:100]!r} is not the plain URL of a host"
    return "" if parts.scheme in schemes else f"{url[:100]!r} is no https URL"


def _problem_of_claims(trust: Trust) -> str:
    """Say why others than the wanted pipelines could claim the same, if they could."""
    names = set(trust.claims)
    if taken := sorted(names & REGISTERED):
        return f"the claim {taken[0]} is checked anyway"
    for name, id_of in ID_OF_NAME.items():
        if name in names and id_of not in names:
            return f"{name} can be taken over by others; ask for {id_of} too"
    subject_is_id = urlsplit(trust.issuer).hostname not in SUBJECT_HAS_NAMES and not any(
        NAMING_SUBJECT.match(subject) for subject in trust.claims.get("sub", ())
    )
    if names & BELONGS_TO or ("sub" in names and subject_is_id):
        return ""
    return "no claim says whose pipeline it is (repository_id, repository_owner_id, project_id …)"
