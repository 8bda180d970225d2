"""The permission that a route asks for, said where the route is declared.

What always holds: every route behind the gate names an action (`dependencies=[may("…")]`); the
model in its path, if there is one, is the object that the caller is asked about. What a caller may
not read does not exist for it: the answer is that of an unknown name. A route whose object is not
named by its path (a run, a decision, a list) asks again with `permit`, or lists only what
`Actor.models_for` names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, Request

from mlreg.registry.api.context import caller_of
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import NotAllowedError
from mlreg.registry.domain.permissions import Action
from mlreg.registry.services.catalog import ModelNotFoundError


class PermissionDeniedError(NotAllowedError):
    """The caller's role does not allow this action."""

    code = "permission_denied"
    hint = "An admin can grant it: `mlreg token create --role`, `mlreg token grant`."

    def __init__(self, *, actor: str, action: str, model: str | None) -> None:
        where = f" on model {model!r}" if model else ""
        super().__init__(f"{actor} may not {action}{where}")


def may(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own type of a dependency
    """Return the dependency that asks whether the caller may do `action` to the path's model."""

    async def permitted(request: Request) -> None:
        permit(caller_of(request), action, request.path_params.get("model"))

    permitted.action = action  # type: ignore[attr-defined]  # read when the app is built
    return Depends(permitted)


def permit(caller: Actor, action: Action, model: str | None) -> None:
    """Let a caller pass, or raise.

    Raises:
        ModelNotFoundError: the caller may not even read the model.
        PermissionDeniedError: it may read it, and not do this.
    """
    if caller.may(action, model):
        return
    if model is not None and not caller.may("read", model):
        raise ModelNotFoundError(model=model)
    raise PermissionDeniedError(actor=caller.name, action=action, model=model)


def action_of(call: Callable[..., object] | None) -> str | None:
    """Return the action that a dependency asks for, or None when it is another dependency."""
    return getattr(call, "action", None)
