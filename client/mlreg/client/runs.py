"""Runs, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.runs import CancelRequest, LineAnswer, RetrainRequest, RunAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlreg.client.transport import Transport


class Runs:
    """Ask for, read, follow, cancel and retry runs.

    ```python
    run = client.runs.request("flights")
    assert client.runs.wait(run.number).state == "succeeded"
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, model: str, request: RetrainRequest | None = None) -> RunAnswer:
        """Ask for a retrain.

        Raises:
            NotFoundError: there is no such model or environment.
            InvalidError: there is no policy, and the request does not say which rows to take.
        """
        body = RetrainRequest() if request is None else request
        return self._transport.post(path("models", model, "runs"), body, RunAnswer)

    def get(self, number: int) -> RunAnswer:
        """Return a run.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("runs", number), RunAnswer)

    def list(
        self,
        *,
        model: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Page[RunAnswer]:
        """Return a page of runs, newest first; `before` is the `next` of the page before."""
        return self._transport.get(
            path("runs"),
            Page[RunAnswer],
            model=model,
            environment=environment,
            state=state,
            before=before,
            limit=limit,
        )

    def log(self, number: int, *, after: int = 0) -> Sequence[LineAnswer]:
        """Return up to a thousand lines of a run's log beyond the line `after`.

        Raises:
            NotFoundError: there is no run of that number.
        """
        return self._transport.get(path("runs", number, "log"), Page[LineAnswer], after=after).items

    def cancel(self, number: int, *, reason: str = "") -> RunAnswer:
        """End a queued or running run.

        Raises:
            NotFoundError, RefusedError: there is none of that number, or it has ended.
        """
        request = CancelRequest(reason=reason)
        return self._transport.post(path("runs", number, "cancel"), request, RunAnswer)

    def retry(self, number: int) -> RunAnswer:
        """Queue a failed, cancelled or dead run again.

        Raises:
            NotFoundError, RefusedError: there is none of that number, or it is in another state.
        """
        return self._transport.post(path("runs", number, "retry"), None, RunAnswer)

    def wait(
        self, number: int, *, each: Callable[[RunAnswer], None] = lambda _run: None
    ) -> RunAnswer:
        """Wait for the end of a run; `each` is called with it at every look.

        Raises:
            RunFailedError: it failed, was cancelled, or is dead.
        """
        run = await_end(lambda: self.get(number), each)
        if run.state != "succeeded":
            raise RunFailedError(
                f"run {number} ended as {run.state}: {run.error or 'no reason is known'}",
                code=f"run_{run.state}",
                hint=f"`mlreg run logs {number}` shows what it printed.",
            )
        return run
