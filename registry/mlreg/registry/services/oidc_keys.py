"""The public keys of issuers of ID tokens, fetched when needed and kept for a while.

What always holds: keys come from the URL that an admin named, or from the issuer's own discovery
document; a key that the issuer withdrew is not used ten minutes later; an unknown key id makes us
ask again, but at most twice a minute per issuer, whoever asks; what is kept is bounded.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from mlreg.registry.domain.errors import RegistryError, UnavailableError
from mlreg.registry.domain.oidc import IdTokenRefusedError, Trust
from mlreg.registry.services.outgoing import fetch

LOG = logging.getLogger(__name__)
FRESH_SECONDS = 600.0
ASK_AGAIN_SECONDS = 30.0
MAX_KEYS = 100
MAX_SOURCES = 200
MIN_RSA_BITS = 2048
DISCOVERY = "/.well-known/openid-configuration"
KINDS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
Fetch = Callable[..., bytes]


class IssuerUnavailableError(UnavailableError):
    """The issuer's keys could not be had now; who asks from outside is not told."""

    code = "issuer_unavailable"

    def __init__(self, *, issuer: str) -> None:
        super().__init__(f"the keys of {issuer[:200]!r} cannot be had now")


@dataclass(frozen=True, slots=True)
class _Source:
    issuer: str
    jwks_url: str | None
    private: bool


@dataclass
class _Known:
    """What is known of one source; `fetching` is held by who asks it."""

    keys: Mapping[str | None, Mapping[str, Any]] = field(default_factory=dict)
    fetched_at: float = -1e9
    asked_at: float = -1e9
    fetching: threading.Lock = field(default_factory=threading.Lock)


class IssuerKeys:
    """The keys that this process knows."""

    def __init__(self, ask: Fetch = fetch, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known: dict[_Source, _Known] = {}
        self._adding = threading.Lock()

    def find(self, trust: Trust, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the issuer's key of that id, fit for that algorithm.

        Raises:
            IdTokenRefusedError: the issuer has no such key, or it is not of that kind.
            IssuerUnavailableError: the issuer does not answer, and its keys are not known.
        """
        known = self._of(_Source(trust.issuer, trust.jwks_url, trust.private))
        with known.fetching:
            if self._should_ask(known, kid):
                self._refresh(trust, known)
        key = known.keys.get(kid)
        if key is None and self._monotonic() - known.fetched_at > FRESH_SECONDS:
            raise IssuerUnavailableError(issuer=trust.issuer)
        if key is None:
            raise IdTokenRefusedError("signed by a key that the issuer does not have")
        return usable_key(key, algorithm)

    def _of(self, source: _Source) -> _Known:
        with self._adding:
            if source not in self._known and len(self._known) >= MAX_SOURCES:
                self._known.clear()
            return self._known.setdefault(source, _Known())

    def _should_ask(self, known: _Known, kid: str | None) -> bool:
        now = self._monotonic()
        wanted = kid not in known.keys or now - known.fetched_at > FRESH_SECONDS
        return wanted and now - known.asked_at > ASK_AGAIN_SECONDS

    def _refresh(self, trust: Trust, known: _Known) -> None:
        """Fetch the keys; an old set that cannot be renewed is dropped."""
        known.asked_at = self._monotonic()
        try:
            known.keys = self._fetched(trust)
        except (RegistryError, ValueError, LookupError, TypeError) as error:
            LOG.warning("the keys of issuer %s cannot be had: %s", trust.name, error)
            if self._monotonic() - known.fetched_at > FRESH_SECONDS:
                known.keys = {}
        else:
            known.fetched_at = self._monotonic()

    def _fetched(self, trust: Trust) -> Mapping[str | None, Mapping[str, Any]]:
        url = trust.jwks_url or self._discovered(trust)
        listed = _document(self._ask(url, private=trust.private))["keys"]
        keys = [key for key in list(listed)[:MAX_KEYS] if key.get("use", "sig") == "sig"]
        found: dict[str | None, Mapping[str, Any]] = {key.get("kid"): key for key in keys}
        if len(keys) == 1:
            found[None] = keys[0]
        return found

    def _discovered(self, trust: Trust) -> str:
        place = trust.issuer.rstrip("/") + DISCOVERY
        document = _document(self._ask(place, private=trust.private))
        if document["issuer"] != trust.issuer:
            message = "its discovery document is another issuer's"
            raise ValueError(message)
        return str(document["jwks_uri"])


def usable_key(key: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    """Return a key for one algorithm: of its kind and curve, and long enough.

    Raises:
        IdTokenRefusedError: it is not.
    """
    if (key.get("kty"), key.get("crv")) != KINDS[algorithm]:
        raise IdTokenRefusedError("the key is of another kind than the algorithm")
    if key.get("alg", algorithm) != algorithm:
        raise IdTokenRefusedError("the key is for another algorithm")
    try:
        found = jwt.PyJWK(dict(key), algorithm=algorithm)
    except jwt.PyJWTError as error:
        raise IdTokenRefusedError("the issuer's key cannot be read") from error
    if getattr(found.key, "key_size", MIN_RSA_BITS) < MIN_RSA_BITS and algorithm == "RS256":
        raise IdTokenRefusedError("the issuer's key is too short")
    return found


def _document(body: bytes) -> Mapping[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise TypeError
    return document
