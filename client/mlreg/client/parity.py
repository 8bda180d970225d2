"""Parity, as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import RunFailedError
from mlreg.client.transport import path
from mlreg.client.waiting import await_end
from mlreg.client.wire.parity import ParityAnswer, ParityFound, ParityRequest

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.client.transport import Transport
    from mlreg.client.versions import Versions


class Parity:
    """See whether a version says offline what it said online, and saw the same features.

    ```python
    asked = client.parity.check("flights")
    print(client.parity.wait(asked.number).share)
    ```
    """

    def __init__(self, transport: Transport, versions: Versions) -> None:
        self._transport = transport
        self._versions = versions

    def upload(self, file: Path) -> str:
        """Upload a Parquet file of features by `prediction_id`; return its digest, for a request.

        Raises:
            OSError: it cannot be read.
        """
        return self._versions.upload_file(file).digest

    def check(self, model: str, request: ParityRequest | None = None) -> ParityAnswer:
        """Ask for logged predictions to be scored again.

        Raises:
            NotFoundError: there is no such model or version.
            RefusedError: nothing serves, or it cannot be scored (`nothing_to_replay`).
        """
        body = ParityRequest() if request is None else request
        return self._transport.post(path("models", model, "parities"), body, ParityAnswer)

    def get(self, number: int) -> ParityAnswer:
        """Return a replay.

        Raises:
            NotFoundError: there is none of that number.
        """
        return self._transport.get(path("parities", number), ParityAnswer)

    def wait(self, number: int) -> ParityFound:
        """Wait for a replay, and return what it found.

        Raises:
            RunFailedError: it failed or is dead.
        """
        ended = await_end(lambda: self.get(number))
        if ended.found is None:
            raise RunFailedError(
                f"replay {number} ended as {ended.state}: {ended.error or 'nobody knows why'}",
                code=f"parity_{ended.state}",
            )
        return ended.found
