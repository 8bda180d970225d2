"""Champion look-up over HTTP, authenticated, on one API process.

`python -m benchmarks.lookup` starts `mlreg up` in a folder of its own, looks up a champion over 32
kept-alive connections, and prints what it measured beside the target. The load comes from another
process of the same machine, so it takes its share of the cores.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks.report import report
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from tests.servers.running import RunningMlreg

if TYPE_CHECKING:
    from mlreg.client.client import Client

CONNECTIONS = 32
SECONDS = 5.0
MISSING = [
    *("git", "data", "contract", "hyperparameters", "seeds", "environment"),
    *("trainer", "lane"),
]


class Connection(asyncio.Protocol):
    """Sends one request after another and keeps the seconds that each took."""

    wanted = b" 200 "

    def __init__(self, request: bytes) -> None:
        self.request, self.seconds, self.failed = request, [], 0
        self.received, self.length = b"", -1

    def connection_made(self, transport) -> None:
        """Send the first one."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send the next one."""
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, piece: bytes) -> None:
        """Take a piece of an answer; a whole one makes the next request."""
        self.received += piece
        if self.length < 0 and b"\r\n\r\n" in self.received:
            head, _, _ = self.received.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            self.failed += self.wanted not in head[:20]
            self.length = len(head) + 4 + length
        if 0 <= self.length <= len(self.received):
            self.seconds.append(time.perf_counter() - self.sent)
            self.received, self.length = b"", -1
            self.send()


async def load(host: str, port: int, request: bytes, seconds: float) -> list[Connection]:
    """Keep every connection busy for so many seconds."""
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(request), host, port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for transport, _ in made:
        transport.abort()
    return [protocol for _, protocol in made]


def register(client: Client, model: str, folder: Path, count: int) -> None:
    """Create a model with some versions."""
    client.models.create(ModelRequest(name=model, target=TargetForm(task="binary")))
    for number in range(count):
        file = folder / f"{model}-{number}.bin"
        file.write_bytes(os.urandom(64))
        client.versions.register(
            model,
            file,
            lambda files: VersionRequest(
                files=list(files), provenance=ProvenanceForm(), allow_missing=MISSING
            ),
        )


def measure_lookup(url: str, token: str) -> dict[str, float]:
    """Return look-ups per second and their 50th and 99th percentile in milliseconds."""
    host, port = url.removeprefix("http://").split(":")
    request = (
        f"GET /api/v1/models/few/deployments/production HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()
    uvloop.run(load(host, int(port), request, 1.0))  # warm
    found = uvloop.run(load(host, int(port), request, SECONDS))
    seconds = sorted(one for connection in found for one in connection.seconds)
    return {
        "lookups_per_second": len(seconds) / SECONDS,
        "lookup_p50_ms": seconds[len(seconds) // 2] * 1e3,
        "lookup_p99_ms": seconds[int(len(seconds) * 0.99)] * 1e3,
        "lookups_failed": sum(connection.failed for connection in found),
    }


def measure() -> dict[str, float]:
    """Measure everything."""
    mlreg = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
    mlreg.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            register(mlreg.client(), "few", Path(name), 2)
        mlreg.client().deployments.promote("few", 1)
        return measure_lookup(mlreg.url, mlreg.token)
    finally:
        mlreg.stop()


TARGETS = {
    "lookups_per_second": (">=", 6_000.0),
    "lookup_p99_ms": ("<=", 15.0),
    "lookups_failed": ("<=", 0.0),
}


if __name__ == "__main__":
    report(measure, TARGETS)
