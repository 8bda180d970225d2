"""The audit log: list, verify, export, and the checkpoints that prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal

from mlreg.client.errors import NotFoundError
from mlreg.client.paging import walk_pages
from mlreg.client.transport import Call, Transport, path
from mlreg.client.wire.audit import AuditAnswer, CheckpointAnswer, VerificationAnswer
from mlreg.client.wire.base import Page
from mlreg.client.witness import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

PAGE = 1_000
CHUNK = 65_536


class Audit:
    """Reads the audit log.

    ```python
    for entry in client.audit.list(subject="model:flights"):
        print(entry.seq, entry.at, entry.actor, entry.action)
    assert client.audit.verify().first_bad is None
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self, *, action: str | None = None, subject: str | None = None
    ) -> Iterator[AuditAnswer]:
        """Iterate over the entries, newest first."""
        return walk_pages(
            lambda cursor: self.page(action=action, subject=subject, cursor=cursor, limit=PAGE)
        )

    def page(
        self,
        *,
        action: str | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[AuditAnswer]:
        """Return a page of the entries, newest first; `cursor` is `next` of the page before."""
        return self._transport.get(
            path("audit"),
            Page[AuditAnswer],
            action=action,
            subject=subject,
            cursor=cursor,
            limit=limit,
        )

    def verify(self, held: Sequence[tuple[int, bytes]] = ()) -> VerificationAnswer:
        """Have the server walk the hash chain and name the first bad entry.

        Args:
            held: sizes and Merkle roots of checkpoints to be held against the log.
        """
        roots = ",".join(f"{size}:{root.hex()}" for size, root in held)
        return self._transport.get(
            path("audit", "verification"), VerificationAnswer, held=roots or None
        )

    def find_checkpoint(self) -> CheckpointAnswer | None:
        """Return the newest signed checkpoint of the server; None before its first."""
        try:
            return self._transport.get(path("audit", "checkpoint"), CheckpointAnswer)
        except NotFoundError as error:
            if error.code == "checkpoint_not_found":
                return None
            raise

    def find_witnessed(self) -> str | None:
        """Return the checkpoint that this user's machine has kept of the server, as signed."""
        return find_checkpoint(self._transport.url)

    def export(
        self,
        output: BinaryIO,
        *,
        form: Literal["jsonl", "csv"] = "jsonl",
        since: datetime | None = None,
        until: datetime | None = None,
        on_start: Callable[[int], Callable[[int], None]] | None = None,
    ) -> int:
        """Write the log to a file, oldest entry first; return how many entries were to come.

        Args:
            output: where to; opened for bytes.
            form: JSON lines can be verified, CSV is for spreadsheets.
            since: the first moment.
            until: the moment before which it ends.
            on_start: called with the number of entries; what it returns, with lines as they come.

        Raises:
            MlregError: as the server says, or the connection broke.
        """
        query = {
            "format": form,
            "since": since and since.isoformat(),
            "until": until and until.isoformat(),
        }
        with self._transport.stream(Call("GET", path("audit", "export"), query)) as download:
            entries = int(download.getheader("Mlreg-Entries") or 0)
            advance = on_start(entries) if on_start else None
            while piece := download.read(CHUNK):
                output.write(piece)
                if advance:
                    advance(piece.count(b"\n"))
        return entries
