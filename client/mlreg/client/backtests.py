"""Backtests of policies, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.backtests import BacktestAnswer, BacktestRequest, CancelBacktest
from mlreg.client.wire.base import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlreg.client.transport import Transport


class Backtests:
    """Replay a model's own history under other policies: how often should it be retrained?

    ```python
    asked = client.backtests.request("flights")
    for sentence in client.backtests.wait(asked.number).found.answer:
        print(sentence)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, model: str, request: BacktestRequest | None = None) -> BacktestAnswer:
        """Ask for a backtest; without a request, of the usual grid over all that was logged.

        Raises:
            NotFoundError: there is no model or environment of that name.
            InvalidError: the grid, or a policy that it makes, cannot be.
            RefusedError: nothing was logged.
            NotAllowedError: the caller may not ask for it.
        """
        body = BacktestRequest() if request is None else request
        return self._transport.post(path("models", model, "backtests"), body, BacktestAnswer)

    def get(self, number: int) -> BacktestAnswer:
        """Return a backtest.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("backtests", number), BacktestAnswer)

    def list(
        self, model: str, *, before: str | None = None, limit: int = 20
    ) -> Page[BacktestAnswer]:
        """Return a page of the backtests of a model, newest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        place = path("models", model, "backtests")
        return self._transport.get(place, Page[BacktestAnswer], before=before, limit=limit)

    def cancel(self, number: int, reason: str = "") -> BacktestAnswer:
        """End a backtest that waits or runs.

        Raises:
            NotFoundError: there is none of that number.
            RefusedError: it has ended already.
        """
        body = CancelBacktest(reason=reason)
        return self._transport.post(path("backtests", number, "cancel"), body, BacktestAnswer)

    def wait(
        self, number: int, each: Callable[[BacktestAnswer], None] = lambda _seen: None
    ) -> BacktestAnswer:
        """Wait for a backtest; `each` is told of every look.

        Raises:
            RunFailedError: it failed, was cancelled, or is dead.
        """
        ended = await_end(lambda: self.get(number), each)
        if ended.found is None:
            raise RunFailedError(
                f"backtest {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"backtest_{ended.state}",
            )
        return ended
