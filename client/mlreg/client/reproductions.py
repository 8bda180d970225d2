"""Reproductions, as the client sees them: have a version rebuilt, and read what that proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.attestations import ReproduceRequest, ReproductionAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlreg.client.transport import Transport


class Reproductions:
    """Ask for versions to be rebuilt from their records."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(self, model: str, version: int, *, deep: bool = False) -> ReproductionAnswer:
        """Ask for a version to be rebuilt by a worker; asking twice is asking once.

        Args:
            model: its model.
            version: its number.
            deep: rebuild its parents too, each from the rebuilt one, from the full one on.

        Raises:
            NotFoundError: there is no such version. NotAllowedError: you may not run anything.
        """
        target = path("models", model, "versions", version, "reproduce")
        return self._transport.post(target, ReproduceRequest(deep=deep), ReproductionAnswer)

    def get(self, number: int) -> ReproductionAnswer:
        """Return a reproduction: how far it is, or what it found.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("reproductions", number), ReproductionAnswer)

    def wait(
        self,
        number: int,
        *,
        each: Callable[[ReproductionAnswer], None] = lambda _reproduction: None,
    ) -> ReproductionAnswer:
        """Wait for its end, whatever it finds; `each` is called with it at every look.

        Raises:
            RunFailedError: it could not be done, and nothing is proved either way.
        """
        found = await_end(lambda: self.get(number), each)
        if found.state != "succeeded":
            raise RunFailedError(
                f"reproduction {number} ended as {found.state}: {found.error or 'nobody says why'}",
                code=f"reproduction_{found.state}",
            )
        return found
