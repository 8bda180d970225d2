"""Evaluations and decisions, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.decisions import DecisionAnswer, EvaluateRequest, EvaluationAnswer

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Decisions:
    """Have versions judged, and read the verdicts.

    ```python
    for decision in client.decisions.list("flights").items:
        print(decision.challenger, decision.verdict)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def evaluate(
        self, model: str, version: int, request: EvaluateRequest | None = None
    ) -> EvaluationAnswer:
        """Ask for a version to be judged against the champion.

        Raises:
            NotFoundError: model, version or environment is not there.
            RefusedError: it is the champion, or no model that can be scored.
        """
        body = EvaluateRequest() if request is None else request
        place = path("models", model, "versions", version, "evaluations")
        return self._transport.post(place, body, EvaluationAnswer)

    def evaluation(self, number: int) -> EvaluationAnswer:
        """Return an evaluation.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("evaluations", number), EvaluationAnswer)

    def wait(self, number: int) -> DecisionAnswer:
        """Wait for the decision of an evaluation.

        Raises:
            RunFailedError: it failed or is dead.
        """
        ended = await_end(lambda: self.evaluation(number))
        if ended.decision is None:
            raise RunFailedError(
                f"evaluation {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"evaluation_{ended.state}",
            )
        return self.get(ended.decision)

    def get(self, number: int) -> DecisionAnswer:
        """Return a decision with its evidence.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("decisions", number), DecisionAnswer)

    def list(
        self, model: str, *, before: str | None = None, limit: int = 100
    ) -> Page[DecisionAnswer]:
        """Return a page of a model's decisions, newest first, without their evidence.

        Raises:
            NotFoundError: there is no such model.
        """
        place = path("models", model, "decisions")
        return self._transport.get(place, Page[DecisionAnswer], before=before, limit=limit)
