"""Explanations of windows, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.explanations import ExplainAnswer, ExplainRequest

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Explanations:
    """Ask where a window went wrong: worst slices, contributions of features, rows to look at.

    ```python
    asked = client.explanations.request("flights", ExplainRequest(start=monday))
    for one in client.explanations.wait(asked.number).found.slices:
        print(one.conditions, one.mean, one.rest)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, model: str, request: ExplainRequest | None = None) -> ExplainAnswer:
        """Ask for a window to be explained; without a request, the newest that was read.

        Raises:
            NotFoundError: there is no model of that name.
            RefusedError: there is no window, or no feature of that name.
            NotAllowedError: the caller may not ask for it, or not for values of features.
        """
        body = ExplainRequest() if request is None else request
        return self._transport.post(path("models", model, "explanations"), body, ExplainAnswer)

    def get(self, number: int) -> ExplainAnswer:
        """Return an explanation.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("explanations", number), ExplainAnswer)

    def list(
        self, model: str, *, before: str | None = None, limit: int = 20
    ) -> Page[ExplainAnswer]:
        """Return a page of the explanations of a model, newest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        place = path("models", model, "explanations")
        return self._transport.get(place, Page[ExplainAnswer], before=before, limit=limit)

    def wait(self, number: int) -> ExplainAnswer:
        """Wait for an explanation.

        Raises:
            RunFailedError: it failed or is dead.
        """
        ended = await_end(lambda: self.get(number))
        if ended.found is None:
            raise RunFailedError(
                f"explanation {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"explanation_{ended.state}",
            )
        return ended
