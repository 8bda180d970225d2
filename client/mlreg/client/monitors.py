"""Monitors, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.monitors import ReadingAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.transport import Transport


class Monitors:
    """Read readings.

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
