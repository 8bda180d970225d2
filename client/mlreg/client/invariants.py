"""Invariants, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.invariants import (
    CheckAnswer,
    CheckFound,
    CheckRequest,
    InvariantsAnswer,
    InvariantsRequest,
)

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Invariants:
    """Declare what holds in a model's rows, see whether it does, check snapshots.

    ```python
    client.invariants.apply(Path("invariants.yaml").read_text())
    check = client.invariants.check("flights", snapshot.digest)
    print(client.invariants.wait(check.number).blocked)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply(self, text: str) -> InvariantsAnswer:
        """Declare invariants in place of those before; the same text again changes nothing.

        Args:
            text: the YAML.

        Raises:
            InvalidError: a key or value is wrong, or contradicts another; names line and key.
            NotFoundError: the model is not there.
        """
        request = InvariantsRequest(text=text)
        return self._transport.post(path("invariants"), request, InvariantsAnswer)

    def get(
        self, model: str, environment: str = "production", *, number: int | None = None
    ) -> InvariantsAnswer:
        """Return what is declared, each invariant with its newest reading in an environment.

        Raises:
            NotFoundError: nothing is, or not under that number.
        """
        place = path("models", model, "invariants")
        return self._transport.get(place, InvariantsAnswer, environment=environment, number=number)

    def history(
        self, model: str, *, before: str | None = None, limit: int = 100
    ) -> Page[InvariantsAnswer]:
        """Return everything that was declared, the newest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        place = path("models", model, "invariants", "history")
        return self._transport.get(place, Page[InvariantsAnswer], before=before, limit=limit)

    def check(self, model: str, snapshot: str) -> CheckAnswer:
        """Ask for a snapshot to be checked.

        Raises:
            NotFoundError: nothing is declared, or there is no such snapshot of this model.
        """
        request = CheckRequest(snapshot=snapshot)
        return self._transport.post(
            path("models", model, "invariants", "checks"), request, CheckAnswer
        )

    def get_check(self, number: int) -> CheckAnswer:
        """Return a check.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("checks", number), CheckAnswer)

    def wait(self, number: int) -> CheckFound:
        """Wait for a check, and return what it found.

        Raises:
            RunFailedError: it failed or is dead.
        """
        ended = await_end(lambda: self.get_check(number))
        if ended.found is None:
            raise RunFailedError(
                f"check {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"check_{ended.state}",
            )
        return ended.found
