"""Controllers and workers, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.members import ControllerAnswer, WorkerAnswer

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Members:
    """Which controllers and workers are there, on which machines, and what they do.

    ```python
    assert any(one.leads for one in client.members.controllers())
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def controllers(self) -> list[ControllerAnswer]:
        """Return the controllers, those that are there first; one of them leads."""
        return self._transport.get(path("controllers"), Page[ControllerAnswer]).items

    def workers(self) -> list[WorkerAnswer]:
        """Return the workers, those that are there first."""
        return self._transport.get(path("workers"), Page[WorkerAnswer]).items
