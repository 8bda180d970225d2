"""Snapshots, as the client sees them: create, freeze, list, show, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlreg.client.errors import InvalidError, RunFailedError
from mlreg.client.new_files import new_file
from mlreg.client.transport import Call, path
from mlreg.client.waiting import await_end
from mlreg.client.wire.base import Page
from mlreg.client.wire.snapshots import (
    FreezeAnswer,
    FreezeRequest,
    IntervalForm,
    SnapshotAnswer,
    SnapshotRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from mlreg.client.transport import Transport
    from mlreg.client.wire.snapshots import SourceForm

Form = Literal["parquet", "csv", "arrow"]
FORMS: dict[str, Form] = {".parquet": "parquet", ".csv": "csv", ".arrow": "arrow"}
CHUNK_BYTES = 2**20
EXPORT_SECONDS = 600.0


class Snapshots:
    """Freeze and read selections of the feedback log, or of a source beside it.

    ```python
    for snapshot in client.snapshots.list("flights").items:
        print(snapshot.digest)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        model: str,
        start: datetime,
        end: datetime,
        *,
        labels_until: datetime | None = None,
        exclude: Sequence[tuple[datetime, datetime]] = (),
    ) -> SnapshotAnswer:
        """Freeze the predictions of `start ≤ time < end`, with the labels known until then.

        Raises:
            InvalidError: the times are out of order, or have no zone.
            NotFoundError: there is no such model.
        """
        request = SnapshotRequest(
            start=start,
            end=end,
            labels_until=labels_until,
            exclude=[IntervalForm(start=first, end=last) for first, last in exclude],
        )
        return self._transport.post(path("models", model, "snapshots"), request, SnapshotAnswer)

    def freeze(
        self,
        model: str,
        start: datetime,
        end: datetime,
        *,
        data: SourceForm | None = None,
        environment: str = "production",
        exclude: Sequence[tuple[datetime, datetime]] = (),
    ) -> FreezeAnswer:
        """Ask a worker to freeze the rows of a source; `wait` for what becomes of it.

        Args:
            model: whose rows they are.
            start: the first time.
            end: the time after the last.
            data: the source and its columns; None is what the policy of the environment names.
            environment: of that policy.
            exclude: times that are left out.

        Raises:
            InvalidError: it names no source. NotAllowedError: you may not name one, or no
                connection covers it. NotFoundError: there is no such model, or no policy.
        """
        request = FreezeRequest(
            start=start,
            end=end,
            data=data,
            environment=environment,
            exclude=[IntervalForm(start=first, end=last) for first, last in exclude],
        )
        return self._transport.post(path("models", model, "freezes"), request, FreezeAnswer)

    def wait(
        self, number: int, *, each: Callable[[FreezeAnswer], None] = lambda _freeze: None
    ) -> SnapshotAnswer:
        """Wait for the end of a freeze, and return its snapshot.

        Raises:
            RunFailedError: it could not be frozen; the message says why.
        """
        found = await_end(lambda: self._transport.get(path("freezes", number), FreezeAnswer), each)
        if found.snapshot is None:
            raise RunFailedError(
                f"freeze {number} ended as {found.state}: {found.error or 'nobody says why'}",
                code=f"freeze_{found.state}",
            )
        return self.get(found.snapshot)

    def get(self, digest: str) -> SnapshotAnswer:
        """Return a snapshot by its digest.

        Raises:
            NotFoundError: there is none.
        """
        return self._transport.get(path("snapshots", digest), SnapshotAnswer)

    def list(
        self, model: str, *, before: str | None = None, limit: int = 100
    ) -> Page[SnapshotAnswer]:
        """Return a page of the snapshots of a model, newest first."""
        place = path("models", model, "snapshots")
        return self._transport.get(place, Page[SnapshotAnswer], before=before, limit=limit)

    def export(
        self,
        digest: str,
        file: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _amount: None,
    ) -> int:
        """Write the joined rows into a file, as its name says: .parquet, .csv or .arrow.

        Returns:
            The size of the file in bytes; it gets its name only when it is whole.

        Raises:
            InvalidError: the file's name says nothing.
            NotFoundError: there is no such snapshot.
        """
        form = FORMS.get(file.suffix.lower())
        if form is None:
            raise InvalidError(
                f"{file}: rows are not written to files of this kind",
                code="unknown_file_kind",
                hint=f"Name it with one of {', '.join(FORMS)}.",
            )
        call = Call(
            "GET",
            path("snapshots", digest, "rows"),
            query={"form": form},
            timeout_seconds=EXPORT_SECONDS,
        )
        size = 0
        with new_file(file) as target, self._transport.stream(call) as download:
            while piece := download.read(CHUNK_BYTES):
                size += target.write(piece)
                on_bytes(len(piece))
        return size
