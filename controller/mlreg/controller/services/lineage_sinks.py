"""Where lineage events go: a file, or a receiver that speaks OpenLineage.

What always holds: the library that sends is imported only where something is sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlreg.registry.domain.errors import UnavailableError

TIMEOUT_SECONDS = 10.0
NAMESPACE = "mlreg"
Event = Mapping[str, Any]


class SinkError(UnavailableError):
    """The receiver of lineage events did not take them; they wait for the next turn."""

    code = "lineage_sink_unavailable"

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"{where} did not take the lineage events: {cause}")


class Sink(Protocol):
    """Where events go.

    Promises: `send` returns when the receiver has every event, and raises `SinkError` when it may
    not have one; events that come twice do no harm there, for their run ids are the same.
    """

    def send(self, events: Sequence[Event]) -> None:
        """Send events in their order."""
        ...


@dataclass(frozen=True, slots=True)
class FileSink:
    """Appends events to a file, one on a line, and waits for the disk."""

    path: Path

    def send(self, events: Sequence[Event]) -> None:
        """Append events.

        Raises:
            SinkError: the file cannot be written.
        """
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        try:
            with open(self.path, "a", encoding="utf-8", opener=_owner_only) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SinkError(where=str(self.path), cause=error.strerror or "failed") from error


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(frozen=True, slots=True)
class HttpSink:
    """Posts events one by one to an OpenLineage receiver (`URL/api/v1/lineage`)."""

    url: str
    key: str | None = None

    def send(self, events: Sequence[Event]) -> None:
        """Post events.

        Raises:
            SinkError: the receiver did not answer, or refused one.
        """
        # A third of a second and 20 MB that few installations need.
        from openlineage.client.transport.http import HttpConfig, HttpTransport  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415

        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        config = HttpConfig(
            self.url, timeout=TIMEOUT_SECONDS, custom_headers=headers, retry={"total": 0}
        )
        try:
            transport = HttpTransport(config)
            try:
                for event in events:
                    transport.emit(event)  # type: ignore[arg-type]  # its serialiser takes a dict
            finally:
                transport.close(TIMEOUT_SECONDS)
        except (RequestException, ValueError) as error:
            raise SinkError(where=self.url, cause=type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class LineageSettings:
    """Where the operator wants lineage events; nowhere unless one is given.

    Attributes:
        url: of an OpenLineage receiver; `key` is its bearer token.
        file: to append to.
        namespace: of jobs and datasets.
    """

    url: str | None = None
    key: str | None = None
    file: Path | None = None
    namespace: str = NAMESPACE

    def sink(self) -> Sink | None:
        """Return where events go, None where nobody wants any."""
        if self.url is not None:
            return HttpSink(self.url, self.key)
        return None if self.file is None else FileSink(self.file)
