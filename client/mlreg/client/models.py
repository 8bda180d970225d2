"""Models, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.models import ArchiveRequest, ModelAnswer, ModelRequest

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
        self, *, after: str | None = None, limit: int = 100, archived: bool = False
    ) -> Page[ModelAnswer]:
        """Return a page of models by name; `after` is the `next` of the page before."""
        return self._transport.get(
            path("models"), Page[ModelAnswer], after=after, limit=limit, archived=archived
        )

    def archive(self, name: str, *, reason: str) -> ModelAnswer:
        """Archive a model: it stays readable and takes no new versions.

        Raises:
            NotFoundError: there is none of that name.
        """
        request = ArchiveRequest(reason=reason)
        return self._transport.post(path("models", name, "archive"), request, ModelAnswer)
