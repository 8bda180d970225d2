"""Incidents, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.incidents import CloseRequest, IncidentAnswer, ReportAnswer

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Incidents:
    """List, read and close incidents.

    ```python
    for incident in client.incidents.list(model="flights", state="open").items:
        print(client.incidents.report(incident.number))
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
    ) -> Page[IncidentAnswer]:
        """Return a page of incidents without their timelines, newest first.

        Args:
            model: of this model only.
            state: `open` or `closed`.
            before: `next` of the page before.
            limit: at most so many.
        """
        return self._transport.get(
            path("incidents"),
            Page[IncidentAnswer],
            model=model,
            state=state,
            before=before,
            limit=limit,
        )

    def get(self, number: int) -> IncidentAnswer:
        """Return an incident with its timeline.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("incidents", number), IncidentAnswer)

    def close(self, number: int, line: str = "closed by hand") -> IncidentAnswer:
        """Close an incident with a last line.

        Raises:
            RefusedError: it is closed already.
        """
        request = CloseRequest(line=line)
        return self._transport.post(path("incidents", number, "close"), request, IncidentAnswer)

    def report(self, number: int) -> str:
        """Return an incident as a Markdown page."""
        return self._transport.get(path("incidents", number, "report"), ReportAnswer).markdown
