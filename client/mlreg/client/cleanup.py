"""Bytes at rest, as the client sees them: scrub them, list and collect what nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import A, Call, parsed, path
from mlreg.client.wire.cleanup import (
    CollectedAnswer,
    GarbageAnswer,
    ScrubAnswer,
    ScrubRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.client.transport import Transport

LONG_SECONDS = 3600.0


class Cleanup:
    """Hash stored bytes anew, and collect what nobody needs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def scrub(self, *, model: str | None = None, everything: bool = False) -> Iterator[ScrubAnswer]:
        """Hash stored bytes anew, turn by turn; yield what each turn saw.

        Args:
            model: only the files of this model's versions; None is every model's.
            everything: also what was hashed of late (of one model, always).

        Raises:
            NotFoundError: there is no such model. UnavailableError: the store gave no answer.
        """
        after = ""
        while True:
            body = ScrubRequest(model=model, everything=everything, after=after)
            answer = self._ask(path("scrub"), body.model_dump_json().encode(), ScrubAnswer)
            yield answer
            after = answer.next
            if not after:
                return

    def list_garbage(self) -> GarbageAnswer:
        """Return what a collection would do, and why; changes nothing."""
        call = Call("GET", path("garbage"), timeout_seconds=LONG_SECONDS)
        return parsed(self._transport.send(call), GarbageAnswer)

    def collect(self) -> CollectedAnswer:
        """Purge, condemn and remove what is due; repeating it is harmless."""
        return self._ask(path("garbage", "collect"), b"{}", CollectedAnswer)

    def _ask(self, place: str, body: bytes, answer: type[A]) -> A:
        call = Call("POST", place, content=body, timeout_seconds=LONG_SECONDS)
        return parsed(self._transport.send(call), answer)
