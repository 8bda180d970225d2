"""Promotes over HTTP, authenticated, on one API process with PostgreSQL beside it and fsync on.

`python -m benchmarks.promote` promotes while the controller and the worker still start, which
takes a core each for some seconds (no target: it is the price of `mlreg up` on two cores). When
they are at rest it seeds models of 50, 10,000 and 100,000 versions, promotes to and fro in each
with one client (the milliseconds are of the whole call: request, transaction, answer), then
promotes in 32 models at once over 32 kept-alive connections. The load comes from another process
of the same machine, so it takes its share of the cores.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import psycopg
import uvloop

from benchmarks.cpu import await_rest, counted
from benchmarks.lookup import Connection
from benchmarks.report import report
from benchmarks.seed import digest, seed_versions
from mlreg.cli.folder import DataFolder
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import OWNER
from tests.servers.running import RunningMlreg

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.client.client import Client

SIZES = (50, 10_000, 100_000)
PROMOTES = 500
WARM = 50
CLIENTS = 32
SECONDS = 6.0
BYTES = 300_000


class Promoter(Connection):
    """Promotes version 1, then 2, then 1 of a model of its own, each under a key of its own."""

    def __init__(self, host: str, token: str, model: str) -> None:
        super().__init__(b"")
        self.head = (
            f"POST /api/v1/models/{model}/deployments/production/promote HTTP/1.1\r\n"
            f"Host: {host}\r\nAuthorization: Bearer {token}\r\nIf-Match: *\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {model}-"
        )

    def send(self) -> None:
        """Send the next one."""
        number = len(self.seconds)
        body = json.dumps({"version": number % 2 + 1, "force": True, "reason": "bench"})
        self.request = f"{self.head}{number}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        super().send()


async def promote_at_once(url: str, token: str, models: list[str], seconds: float) -> list[float]:
    """Keep one client per model promoting, and return the seconds of every promote."""
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda model=model: Promoter(f"{host}:{port}", token, model), host, int(port)
        )
        for model in models
    ]
    await asyncio.sleep(seconds)
    for transport, _ in made:
        transport.abort()
    assert not any(promoter.failed for _, promoter in made)
    return [one for _, promoter in made for one in promoter.seconds]


def promote_to_and_fro(client: Client, model: str) -> list[float]:
    """Promote with one client and return the seconds of each call, ascending."""
    seconds = []
    for number in range(PROMOTES):
        began = time.perf_counter()
        client.deployments.promote(model, number % 2 + 1, force=True, reason="bench")
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[WARM:])


def put_files(url: str, data: Path, prefix: str, count: int) -> None:
    """Put files of the right size where the first versions' rows say they are.

    Their bytes are zeros: the scrub would tell, so it is told that it has just been there.
    """
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE blob SET verified_at = now()")
    for number in range(count):
        name = digest("blob", prefix, number).removeprefix("sha256:")
        path = data / "artifacts" / "blobs" / "sha256" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(BYTES)


def measure_one_client(mlreg: RunningMlreg, url: str, size: int, name: str) -> dict[str, float]:
    """Promote in a new model of some size with one client."""
    prefix = f"of-{name.replace('_', '-')}"
    seed_versions(url, size, prefix=prefix)
    put_files(url, mlreg.data, prefix, 2)
    seconds = promote_to_and_fro(mlreg.client(), f"{prefix}-0")
    return {
        f"promote_p50_ms_{name}": seconds[len(seconds) // 2] * 1e3,
        f"promote_p99_ms_{name}": seconds[int(len(seconds) * 0.99)] * 1e3,
    }


def measure() -> dict[str, float]:
    """Measure everything."""
    mlreg = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
    mlreg.start()
    try:
        url = EmbeddedPostgres(DataFolder(mlreg.data).cluster).url("mlreg", OWNER)
        found = measure_one_client(mlreg, url, 50, "while_starting")
        await_rest(mlreg)
        for size in SIZES:
            found |= measure_one_client(mlreg, url, size, f"{size}_versions")
        seeded = seed_versions(url, 50 * CLIENTS, CLIENTS, prefix="busy")
        put_files(url, mlreg.data, "busy", 2 * CLIENTS)
        seconds = []
        with counted(mlreg, "promote", found, seconds):
            seconds += uvloop.run(
                promote_at_once(mlreg.url, mlreg.token, list(seeded.names), SECONDS)
            )
        seconds.sort()
        return found | {
            f"promotes_per_second_{CLIENTS}_clients": len(seconds) / SECONDS,
            f"promote_p99_ms_{CLIENTS}_clients": seconds[int(len(seconds) * 0.99)] * 1e3,
        }
    finally:
        mlreg.stop()


TARGETS = {
    **{f"promote_p50_ms_{size}_versions": ("<=", 5.0) for size in SIZES},
    **{f"promote_p99_ms_{size}_versions": ("<=", 15.0) for size in SIZES},
    f"promotes_per_second_{CLIENTS}_clients": (">=", 350.0),
}


if __name__ == "__main__":
    report(measure, TARGETS)
