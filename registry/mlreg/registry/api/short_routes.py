"""The short way to the routes that pipelines call most: small JSON bodies, without dependencies.

FastAPI works out a request's dependencies, reads its body once more and checks it: a third of what
it costs this process to register a version or to promote one. The gate has checked the token and
the limits have read the body, so that only the form is left to be made of it. What has no such
body, or one that is not of the form, goes on to the route of the same path, which says what is
wrong with it; both ways call the same function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from mlreg.registry.api.context import caller_of
from mlreg.registry.api.limits import read_here
from mlreg.registry.api.permission import permit
from mlreg.registry.domain.permissions import Action

Form = TypeVar("Form", bound=BaseModel)
_FORM = "form"


class ShortRoute(Route, Generic[Form]):
    """Takes a POST whose body was read and has the right form; to be asked before all others.

    Args:
        path: as the other route's, with its prefix; a model's belongings are below `{model}`.
        action: what the caller must be allowed to do, as the other route says it.
        form: what the body must be.
        answer: does it, for a caller who may.
    """

    def __init__(
        self,
        path: str,
        action: Action,
        form: type[Form],
        answer: Callable[[Request, Form], Awaitable[Response]],
    ) -> None:
        async def permitted(request: Request) -> Response:
            permit(caller_of(request), action, request.path_params["model"])
            return await answer(request, request.scope[_FORM])

        permitted.action = action  # type: ignore[attr-defined]  # as `permission.may` says it
        super().__init__(path, permitted, methods=["POST"], name=f"short {action}")
        self._form = form
        self._permitted = permitted

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route, as Starlette asks."""
        match, found = super().matches(scope)
        if match is not Match.FULL:
            return Match.NONE, {}
        try:
            form = self._form.model_validate(read_here(scope))
        except ValidationError:
            return Match.NONE, {}
        return match, {**found, _FORM: form}

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, without Starlette's wrappers; the app's own one answers errors."""
        answer = await self._permitted(Request(scope, receive))
        await answer(scope, receive, send)
