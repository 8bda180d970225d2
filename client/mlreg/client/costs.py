"""Budgets, costs and the queue, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.costs import BudgetAnswer, BudgetRequest, CostAnswer, QueuedRunAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.transport import Transport
    from mlreg.client.wire.costs import By


class Costs:
    """Read and set the budget of all policies; read what runs cost and what waits.

    ```python
    client.costs.set_budget(BudgetRequest(runs_per_day=20))
    for month in client.costs.list(by="month"):
        print(month.name, month.amount, month.currency)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def budget(self) -> BudgetAnswer:
        """Return the budget of all policies, and what is used of it."""
        return self._transport.get(path("budget"), BudgetAnswer)

    def set_budget(self, budget: BudgetRequest) -> BudgetAnswer:
        """Set the budget of all policies as a whole.

        Raises:
            NotAllowedError: only an admin may.
        """
        return self._transport.post(path("budget"), budget, BudgetAnswer)

    def list(self, by: By = "model", *, limit: int = 100) -> Sequence[CostAnswer]:
        """Return what runs took and cost, by model, month, policy or decision."""
        return self._transport.get(path("costs"), Page[CostAnswer], by=by, limit=limit).items

    def queue(self, *, limit: int = 100) -> Sequence[QueuedRunAnswer]:
        """Return the runs that wait, in their order."""
        return self._transport.get(path("queue"), Page[QueuedRunAnswer], limit=limit).items
