"""Models, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.paging import walk_pages
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
    from collections.abc import Iterator

    from mlreg.client.transport import Transport


class Models:
    """Create, read and archive models.

    ```python
    for model in client.models.walk():
        print(model.name, model.task, model.last_version)
    ```
    """

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
        cursor: str | None = None,
        limit: int = 100,
        archived: bool = False,
        deleted: bool = False,
    ) -> Page[ModelAnswer]:
        """Return a page of models by name; `cursor` is the `next` of the page before.

        Args:
            after: only models whose names come after this one.
            cursor: where the page begins; None is the first.
            limit: the most models of this page, up to 500.
            archived: archived ones too.
            deleted: the deleted ones, and no others.
        """
        return self._transport.get(
            path("models"),
            Page[ModelAnswer],
            after=after,
            cursor=cursor,
            limit=limit,
            archived=archived,
            deleted=deleted or None,
        )

    def walk(self, *, page: int = 100) -> Iterator[ModelAnswer]:
        """Iterate over all models by name; pages are fetched as they are needed.

        ```python
        tasks = {model.name: model.task for model in client.models.walk()}
        ```
        """
        return walk_pages(lambda cursor: self.list(cursor=cursor, limit=page))

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
