"""Monitors and drift, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.monitors import DriftAnswer, ReadingAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.transport import Transport


class Monitors:
    """Read readings and drift.

    ```python
    for reading in client.monitors.readings("flights", monitor="drift"):
        print(reading)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def readings(
        self,
        model: str,
        environment: str = "production",
        *,
        monitor: str | None = None,
        subject: str | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
    ) -> list[ReadingAnswer]:
        """Return the readings of windows that end in (after, until], oldest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        return self._transport.get(
            path("models", model, "readings"),
            Page[ReadingAnswer],
            environment=environment,
            monitor=monitor,
            subject=subject,
            after=after.isoformat() if after else None,
            until=until.isoformat() if until else None,
        ).items

    def drift(self, model: str, environment: str = "production") -> DriftAnswer:
        """Return how far the newest window is from the champion's training rows.

        Raises:
            NotFoundError: there is no model of that name.
        """
        place = path("models", model, "drift")
        return self._transport.get(place, DriftAnswer, environment=environment)
