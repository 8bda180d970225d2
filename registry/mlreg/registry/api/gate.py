"""Default deny, for the whole app: mounts, documents and unknown paths included.

What always holds: a request reaches a route only as the bearer of a valid token, unless its path
is in `PUBLIC`; the answer to every kind of bad token is the same. A cookie opens pages (GET, not
`/api`), never the API.
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
from mlreg.registry.services.throttle import Throttle

API_PREFIX = "/api/"
_BEARER = b"Bearer "


class Gate:
    """Lets bearers of valid tokens in, and says to the routes behind it who they are."""

    def __init__(self, app: ASGIApp, tokens: TokenCache, throttle: Throttle) -> None:
        self.app = app
        self.tokens = tokens
        self.throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request (ASGI)."""
        if scope["type"] == "lifespan" or scope["path"] in PUBLIC:
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here; closing without an answer is a refusal
        try:
            bearer = await self._bearer(scope)
        except RegistryError as error:
            await _refusal(error, scope)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(caller=bearer.actor, bearer=bearer)
        await self.app(scope, receive, send)

    async def _bearer(self, scope: Scope) -> Bearer:
        text = _bearer(scope) or _cookie(scope)
        if text is None:
            raise UnauthenticatedError
        return self.tokens.find(text) or await self._check(scope, text)

    async def _check(self, scope: Scope, text: bytes) -> Bearer:
        """Ask the database about a token that is new here, unless there was too much guessing."""
        address, _port = scope.get("client") or (None, 0)
        with self.throttle.attempt(address, id_of(text.decode("latin-1"))):
            return await self.tokens.check(text)


def _refusal(error: RegistryError, scope: Scope) -> ASGIApp:
    if isinstance(error, UnauthenticatedError) and _wants_page(scope):
        return RedirectResponse("/login", status_code=303)
    return problem_of(error)


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
