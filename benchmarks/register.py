"""Registering version rows over HTTP, authenticated, with eight clients on one API process.

`python -m benchmarks.register` starts `mlreg up` (PostgreSQL beside it, fsync on), uploads one
blob, and lets eight kept-alive connections register it again and again, each in a model of its own
and each under its own idempotency key: first a bare row, then one with the provenance that the SDK
captures (30 features, 20 parameters, 60 packages). A bare row is what MLflow's is, a name and where
it came from; but no version is without bytes here, so it names one small file that is stored.

The load comes from this process, so it takes its share of the cores; the CPU of each is printed.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks.cpu import counted
from benchmarks.lookup import MISSING, Connection
from benchmarks.report import report
from benchmarks.seed import digest, environment_of, hyperparameters_of, metrics_of
from mlreg.client.wire.models import ModelRequest, TargetForm
from tests.servers.running import RunningMlreg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.client.client import Client

CLIENTS = 8
SECONDS = 6.0


class Registrar(Connection):
    """Registers the same body again and again, under a key of its own each time."""

    wanted = b" 201 "

    def __init__(self, head: str, body: bytes, key: str) -> None:
        super().__init__(b"")
        self.head, self.body, self.key = head, body, key

    def send(self) -> None:
        """Send the next one."""
        length = f"Idempotency-Key: {self.key}-{len(self.seconds)}\r\n"
        length += f"Content-Length: {len(self.body)}\r\n\r\n"
        self.request = (self.head + length).encode() + self.body
        super().send()


def bare_row(file: Mapping[str, object]) -> dict[str, object]:
    """Return a registration that says where the version came from, and nothing else."""
    return {
        "files": [file],
        "provenance": {},
        "tags": {"source": "s3://models/fraud/12"},
        "allow_missing": MISSING,
    }


def full_row(file: Mapping[str, object]) -> dict[str, object]:
    """Return a registration with everything that the SDK captures."""
    chance = random.Random(7)
    features = [{"name": f"feature_{number}", "dtype": "float"} for number in range(30)]
    git = {"commit": "3f" * 20, "dirty": False, "remote": "https://github.com/acme/models.git"}
    provenance = {
        "git": git,
        "snapshots": [digest("snapshot", 1)],
        "contract": features,
        "hyperparameters": json.loads(hyperparameters_of(chance)),
        "seeds": {"seed": 7},
        "environment": json.loads(environment_of(1)),
        "trainer": "lightgbm",
        "lane": "full",
    }
    tags = {"team": "risk", "ticket": "ML-1"}
    return {
        "files": [file],
        "provenance": provenance,
        "metrics": json.loads(metrics_of(chance)),
        "tags": tags,
    }


async def register_at_once(
    url: str, token: str, body: Mapping[str, object], name: str
) -> list[float]:
    """Keep the clients registering, and return the seconds of every registration."""
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    content, made = json.dumps(body).encode(), []
    for number in range(CLIENTS):
        head = (
            f"POST /api/v1/models/register-{number}/versions HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        )
        made.append(
            await loop.create_connection(
                lambda head=head, number=number: Registrar(head, content, f"{name}-{number}"),
                host,
                int(port),
            )
        )
    await asyncio.sleep(SECONDS)
    for transport, _ in made:
        transport.abort()
    assert not any(registrar.failed for _, registrar in made)
    return [one for _, registrar in made for one in registrar.seconds]


def uploaded(client: Client) -> dict[str, object]:
    """Upload one small file, and return it as a registration names it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.bin"
        file.write_bytes(b"weights" * 10)
        (found,) = client.versions.upload(file)
    return found.model_dump()


def measure() -> dict[str, float]:
    """Measure everything."""
    mlreg = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
    mlreg.start()
    try:
        with mlreg.client() as client:
            for number in range(CLIENTS):
                target = TargetForm(task="binary")
                client.models.create(ModelRequest(name=f"register-{number}", target=target))
            file = uploaded(client)
        found: dict[str, float] = {}
        for name, row in (("register_bare", bare_row(file)), ("register_full", full_row(file))):
            uvloop.run(register_at_once(mlreg.url, mlreg.token, row, f"warm-{name}"))
            seconds: list[float] = []
            with counted(mlreg, name, found, seconds):
                seconds += uvloop.run(register_at_once(mlreg.url, mlreg.token, row, name))
            found[f"{name}_per_second"] = len(seconds) / SECONDS
            found[f"{name}_p50_ms"] = statistics.median(seconds) * 1e3
            found[f"{name}_p99_ms"] = sorted(seconds)[int(len(seconds) * 0.99)] * 1e3
        return found
    finally:
        mlreg.stop()


TARGETS = {"register_bare_per_second": (">=", 450.0), "register_full_per_second": (">=", 317.0)}


if __name__ == "__main__":
    report(measure, TARGETS)
