"""Monitors, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.monitors import MetricAnswer, MetricRequest, ReadingAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.transport import Transport


class Monitors:
    """Read readings, and post values of business metrics.

    ```python
    for reading in client.monitors.readings("flights", monitor="auc"):
        print(reading.start, reading.value, reading.low, reading.high, reading.state)
    client.monitors.post_metric("flights", "revenue", time=now, value=1_250.0)
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

    def post_metric(
        self,
        model: str,
        name: str,
        *,
        time: datetime,
        value: float,
        environment: str = "production",
        key: str | None = None,
    ) -> MetricAnswer:
        """Keep one value of a business metric; it is shown by window as `business:<name>`.

        Safe to repeat: a value counts once by its key, which is its time unless one is given.

        Args:
            model: whose metric.
            name: of the metric, 1 to 63 of a-z 0-9 . _ -.
            time: what moment the value is about, with a zone.
            value: any finite number.
            environment: where.
            key: an identifier of this value, e.g. of the order that it belongs to.

        Raises:
            NotFoundError: there is no model or environment of that name.
            InvalidError: the name, the time or the value is none.
            RefusedError: the key is taken by another value.
        """
        body = MetricRequest(name=name, time=time, value=value, environment=environment, key=key)
        return self._transport.post(path("models", model, "metrics"), body, MetricAnswer)
