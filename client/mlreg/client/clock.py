"""The server's business time, as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import Call, parsed, path
from mlreg.client.wire.clock import AdvanceRequest, ClockAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.transport import Transport

ADVANCE_SECONDS = 3_600.0


class VirtualClock:
    """Read the clock; move it, where it is virtual.

    ```python
    print(client.clock.get())
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self) -> ClockAnswer:
        """Return business time."""
        return self._transport.get(path("clock"), ClockAnswer)

    def advance(self, to: datetime) -> ClockAnswer:
        """Move virtual time, doing all that becomes due; returns when nothing is queued or running.

        Raises:
            InvalidError: the clock is real, or the moment lies in the past.
            RefusedError: production mode, or another call moves the clock.
        """
        content = AdvanceRequest(to=to).model_dump_json().encode()
        place = path("clock", "advance")
        call = Call("POST", place, content=content, timeout_seconds=ADVANCE_SECONDS)
        return parsed(self._transport.send(call), ClockAnswer)
