"""Drift, as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.drift import (
    CompareAnswer,
    CompareRequest,
    DriftAnswer,
    DriftMatrix,
    Size,
    Width,
)

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.transport import Transport


class Drift:
    """See how far features, scores and labels have moved.

    ```python
    for feature in client.drift.show("flights").features:
        print(feature.feature, feature.psi, feature.verdict)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self, model: str, environment: str = "production", *, window: datetime | None = None
    ) -> DriftAnswer:
        """Return how far a window is from the champion's training rows; by default the newest.

        Raises:
            NotFoundError: there is no model of that name.
        """
        return self._transport.get(
            path("models", model, "drift"),
            DriftAnswer,
            environment=environment,
            window=window.isoformat() if window else None,
        )

    def matrix(
        self,
        model: str,
        environment: str = "production",
        *,
        days: int = 14,
        width: Width = "day",
        size: Size = "psi",
        feature: str | None = None,
    ) -> DriftMatrix:
        """Return one effect size of the last days' windows by features.

        Raises:
            NotFoundError: there is no such model, feature, or reference to compare with.
        """
        return self._transport.get(
            path("models", model, "drift", "matrix"),
            DriftMatrix,
            environment=environment,
            days=days,
            width=width,
            size=size,
            feature=feature,
        )

    def compare(self, model: str, request: CompareRequest | None = None) -> CompareAnswer:
        """Ask for rows of a window to be compared with the champion's training rows.

        Raises:
            NotFoundError: there is no such model or feature, or nothing to compare with.
        """
        body = CompareRequest() if request is None else request
        return self._transport.post(path("models", model, "comparisons"), body, CompareAnswer)

    def comparison(self, number: int) -> CompareAnswer:
        """Return a comparison.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("comparisons", number), CompareAnswer)

    def wait(self, number: int) -> CompareAnswer:
        """Wait for a comparison.

        Raises:
            RunFailedError: it failed or is dead.
        """
        ended = await_end(lambda: self.comparison(number))
        if ended.found is None:
            raise RunFailedError(
                f"comparison {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"comparison_{ended.state}",
            )
        return ended
