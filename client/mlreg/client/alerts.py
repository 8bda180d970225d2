"""Alerts, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.alerts import AlertAnswer, CloseAlertRequest, SnoozeRequest
from mlreg.client.wire.base import Page

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from mlreg.client.transport import Transport

PLACE = "alerts"


class Alerts:
    """List, read, snooze and close alerts.

    ```python
    for alert in client.alerts.list(state="open").items:
        print(alert.severity, alert.model, alert.title)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        model: str | None = None,
        state: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Page[AlertAnswer]:
        """Return a page of alerts without what happened to them, newest first.

        Args:
            model: of this model only.
            state: `open`, `resolved` or `closed`.
            before: `next` of the page before.
            limit: at most so many.
        """
        return self._transport.get(
            path(PLACE),
            Page[AlertAnswer],
            model=model,
            state=state,
            before=before,
            limit=limit,
        )

    def get(self, number: int) -> AlertAnswer:
        """Return an alert with what happened to it.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path(PLACE, number), AlertAnswer)

    def snooze(self, number: int, until: datetime | timedelta) -> AlertAnswer:
        """Have nobody told until a moment, or for so long; then it is told again, if it is open.

        Raises:
            RefusedError: the alert is over.
        """
        # A length is counted on the server, whose time may be virtual.
        seconds = getattr(until, "total_seconds", None)
        request = (
            SnoozeRequest.model_validate({"until": until})
            if seconds is None
            else SnoozeRequest(seconds=int(seconds()))
        )
        return self._transport.post(path(PLACE, number, "snooze"), request, AlertAnswer)

    def unsnooze(self, number: int) -> AlertAnswer:
        """End a snooze.

        Raises:
            RefusedError: the alert is over.
        """
        return self._transport.post(path(PLACE, number, "unsnooze"), None, AlertAnswer)

    def close(self, number: int, line: str = "closed by hand") -> AlertAnswer:
        """End an alert by hand; it begins anew only with more unusual windows.

        Raises:
            RefusedError: it is over already.
        """
        request = CloseAlertRequest(line=line)
        return self._transport.post(path(PLACE, number, "close"), request, AlertAnswer)
