"""Models, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.models import (
    ArchiveRequest,
    ModelAnswer,
    ModelRequest,
    RetirementRequest,
    UnsafeRequest,
)

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Models:
    """Create, read and archive models."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, request: ModelRequest) -> ModelAnswer:
        """Create a model without versions.

        Raises:
            InvalidError: name, target or a feature breaks a rule; the message names it.
            RefusedError: there is a model of that name (`model_exists`).
        """
        return self._transport.post(path("models"), request, ModelAnswer)

    def get(self, name: str) -> ModelAnswer:
        """Return a model.

        Raises:
            NotFoundError: there is none of that name.
        """
        return self._transport.get(path("models", name), ModelAnswer)

    def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        archived: bool = False,
        deleted: bool = False,
    ) -> Page[ModelAnswer]:
        """Return a page of models by name; `after` is the `next` of the page before.

        Archived ones come when asked for; `deleted` asks for the deleted ones and no others.
        """
        return self._transport.get(
            path("models"),
            Page[ModelAnswer],
            after=after,
            limit=limit,
            archived=archived,
            deleted=deleted or None,
        )

    def archive(self, name: str, *, reason: str) -> ModelAnswer:
        """Archive a model: it stays readable and takes no new versions.

        Raises:
            NotFoundError: there is none of that name.
        """
        request = ArchiveRequest(reason=reason)
        return self._transport.post(path("models", name, "archive"), request, ModelAnswer)

    def delete(self, name: str, *, reason: str) -> ModelAnswer:
        """Delete a model with all its versions; it can be restored for 30 days.

        Raises:
            NotFoundError: there is none of that name.
            RefusedError: one of its versions serves somewhere (`in_service`).
        """
        request = RetirementRequest(reason=reason)
        return self._transport.post(path("models", name, "delete"), request, ModelAnswer)

    def restore(self, name: str, *, reason: str = "") -> ModelAnswer:
        """Undo the delete of a model; of one that is only archived, undo that.

        Raises:
            NotFoundError: there never was one. RefusedError: it is too late (`purged`).
        """
        request = RetirementRequest(reason=reason)
        return self._transport.post(path("models", name, "restore"), request, ModelAnswer)

    def allow_unsafe(self, name: str, *, allowed: bool, reason: str) -> ModelAnswer:
        """Let versions of a model go live whose files can run code when loaded, or no longer."""
        request = UnsafeRequest(allowed=allowed, reason=reason)
        return self._transport.post(path("models", name, "unsafe"), request, ModelAnswer)
