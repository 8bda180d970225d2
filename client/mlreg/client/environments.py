"""Environments: declare and list the places to deploy to."""

from __future__ import annotations

from mlreg.client.transport import Transport, path
from mlreg.client.wire.base import Page
from mlreg.client.wire.environments import EnvironmentAnswer, EnvironmentRequest


class Environments:
    """The declared places to deploy to.

    ```python
    client.environments.create("staging")
    names = [place.name for place in client.environments.list()]
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str) -> EnvironmentAnswer:
        """Declare a place."""
        return self._transport.post(
            path("environments"), EnvironmentRequest(name=name), EnvironmentAnswer
        )

    def list(self) -> list[EnvironmentAnswer]:
        """Return every place by name."""
        return self._transport.get(path("environments"), Page[EnvironmentAnswer]).items
