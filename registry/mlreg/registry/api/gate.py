"""Default deny, for the whole app: mounts, documents and unknown paths included.

What always holds: a request reaches a route only as the bearer of a valid token, unless its path
is in `PUBLIC`; the answer to every kind of bad token is the same. A cookie opens pages (GET, not
`/api`), never the API. Who sends too much waits: each token for itself, and each address for what
it sends without a good one; what on-call needs never does.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mlreg.registry.api.permission import PUBLIC
from mlreg.registry.api.problems import problem_of
from mlreg.registry.api.token_cache import TokenCache
from mlreg.registry.domain.errors import RegistryError, UnauthenticatedError
from mlreg.registry.domain.tokens import id_of
from mlreg.registry.services.access import PAGE_COOKIE, Bearer
from mlreg.registry.services.rates import Buckets, Rate, never_waits
from mlreg.registry.services.throttle import Throttle, source_of

API_PREFIX = "/api/"
HEALTH = frozenset({"/healthz", "/readyz"})
_BEARER = b"Bearer "


class Gate:
    """Lets bearers of valid tokens in, and says to the routes behind it who they are."""

    def __init__(self, app: ASGIApp, tokens: TokenCache, throttle: Throttle, rate: Rate) -> None:
        self.app = app
        self.tokens = tokens
        self.throttle = throttle
        self.of_tokens = Buckets(rate)
        self.of_addresses = Buckets(rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request (ASGI)."""
        if scope["type"] == "lifespan" or scope["path"] in HEALTH:
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here; closing without an answer is a refusal
        try:
            if scope["path"] in PUBLIC:
                self._count_stranger(scope)
            else:
                bearer = await self._bearer(scope)
                scope.setdefault("state", {}).update(caller=bearer.actor, bearer=bearer)
        except RegistryError as error:
            await _refusal(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _bearer(self, scope: Scope) -> Bearer:
        text = _bearer(scope) or _cookie(scope)
        known = None if text is None else self.tokens.find(text)
        if known is None:
            return await self._check(scope, text)
        if not never_waits(scope["method"], scope["path"]):
            self.of_tokens.take(known.token_id)
        return known

    async def _check(self, scope: Scope, text: bytes | None) -> Bearer:
        """Ask the database about a token that is new here, unless there was too much guessing."""
        self._count_stranger(scope)
        if text is None:
            raise UnauthenticatedError
        with self.throttle.attempt(_address(scope), id_of(text.decode("latin-1"))):
            return await self.tokens.check(text)

    def _count_stranger(self, scope: Scope) -> None:
        if not never_waits(scope["method"], scope["path"]):
            self.of_addresses.take(source_of(_address(scope)))


def _refusal(error: RegistryError, scope: Scope) -> ASGIApp:
    if isinstance(error, UnauthenticatedError) and _wants_page(scope):
        return RedirectResponse("/login", status_code=303)
    return problem_of(error)


def _address(scope: Scope) -> str | None:
    address, _port = scope.get("client") or (None, 0)
    return address


def _bearer(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return bytes(value[len(_BEARER) :]) if value.startswith(_BEARER) else None
    return None


def _cookie(scope: Scope) -> bytes | None:
    if not _is_page(scope):
        return None
    raw = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    try:
        morsel = SimpleCookie(raw).get(PAGE_COOKIE)
    except CookieError:
        return None
    return morsel.value.encode("latin-1") if morsel else None


def _is_page(scope: Scope) -> bool:
    return scope["method"] in {"GET", "HEAD"} and not scope["path"].startswith(API_PREFIX)


def _wants_page(scope: Scope) -> bool:
    return _is_page(scope) and b"text/html" in dict(scope["headers"]).get(b"accept", b"")
