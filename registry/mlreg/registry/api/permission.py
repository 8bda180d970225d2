"""The permission that a route asks for, said where the route is declared.

What always holds: every route behind the gate names an action (`dependencies=[may("…")]`), or the
app is not built (`check_every_route`); the model in its path, if there is one, is the object that
the caller is asked about. What a caller may not read does not exist for it: the answer is that of
an unknown name. A route whose object is not named by its path (a run, a decision, a list) asks
again with `permit`, or lists only what `Actor.models_for` names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Route

from mlreg.registry.api.context import Caller, caller_of
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotAllowedError, NotFoundError
from mlreg.registry.domain.permissions import Action
from mlreg.registry.services.catalog import ModelNotFoundError

PUBLIC = frozenset(
    {
        "/healthz",
        "/readyz",
        "/login",
        "/logout",
        "/static/style.css",
        "/api/v1/oidc/exchange",
    }
)
"""The paths that need no token: health, the way in, and what its page is drawn with."""


class PermissionDeniedError(NotAllowedError):
    """The caller's role does not allow this action."""

    code = "permission_denied"
    hint = "An admin can grant it: `mlreg token create --role`, `mlreg token grant`."

    def __init__(self, *, actor: str, action: str, model: str | None) -> None:
        where = f" on model {model!r}" if model else ""
        super().__init__(f"{actor} may not {action}{where}")


class NoActionNamedError(RuntimeError):
    """A route says neither which action it is nor that it is public: a bug, found at the start."""

    def __init__(self, *, path: str) -> None:
        super().__init__(f"the route {path} names no action or hides its model, and is not public")


def may(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own type of a dependency
    """Return the dependency that asks whether the caller may do `action` to the path's model."""

    async def permitted(request: Request) -> None:
        if request.scope["path"] not in PUBLIC:
            permit(caller_of(request), action, request.path_params.get("model"))

    permitted.action = action  # type: ignore[attr-defined]  # read when the app is built
    return Depends(permitted)


def permit(
    caller: Actor, action: Action, model: str | None, *, unseen: NotFoundError | None = None
) -> None:
    """Let a caller pass, or raise.

    Args:
        caller: who asks.
        action: what it wants to do.
        model: to which model's belongings; None: to the installation's.
        unseen: what to raise where it may not even read; for objects that are known by a number,
            the error of an unknown number, so that no model's name is told.

    Raises:
        ModelNotFoundError: the caller may not even read the model.
        PermissionDeniedError: it may read it, and not do this.
    """
    if caller.may(action, model):
        return
    if model is not None and not caller.may("read", model):
        raise unseen or ModelNotFoundError(model=model)
    raise PermissionDeniedError(actor=caller.name, action=action, model=model)


@dataclass(frozen=True, slots=True)
class ListedModels:
    """Whose belongings a list tells of.

    Attributes:
        model: the one that was asked for; None: all.
        names: those that the caller may read; None: all.
    """

    model: str | None
    names: Collection[str] | None


async def listed_models(caller: Caller, model: str | None = None) -> ListedModels:
    """Return whose belongings a list tells of, if the caller may read what it asks for.

    Raises:
        ModelNotFoundError: it may not.
    """
    if model is not None:
        permit(caller, "read", model)
    return ListedModels(model, caller.models_for("read"))


Listed = Annotated[ListedModels, Depends(listed_models)]


def check_every_route(routes: Iterable[BaseRoute]) -> None:
    """Refuse an app with a route that names no action and is not public; mounts have no way to.

    A path below `models/` calls its model `{model}`, or the question would be about no model.

    Raises:
        NoActionNamedError: names the first such route.
    """
    for context in iter_route_contexts(list(routes)):
        path = context.path or ""
        hidden = "models/{" in path and "models/{model}" not in path
        if path not in PUBLIC and (hidden or action_of_route(context) is None):
            raise NoActionNamedError(path=f"{path} ({context.name})")


def action_of_route(context: RouteContext) -> Action | None:
    """Return the action that a route names, or None."""
    if isinstance(context.original_route, APIRoute):
        return next(_actions(context.dependant), None)
    if isinstance(context.original_route, Route):  # a plain one asks by itself, and says so
        return action_of(context.original_route.endpoint)
    return None


def action_of(call: Callable[..., object] | None) -> Action | None:
    """Return the action that a dependency asks for, or None when it is another dependency."""
    return getattr(call, "action", None)


def _actions(dependant: Dependant) -> Iterator[Action]:
    for below in dependant.dependencies:
        action = action_of(below.call)
        if action is not None:
            yield action
        yield from _actions(below)
