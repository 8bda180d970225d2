"""mlreg and MLflow 3.17.2 on one machine, in one run: the same questions, asked the same way.

`make mlflow` first makes the environment of MLflow's server. `python -m benchmarks.against_mlflow`
then starts it in its fastest configuration (gunicorn, 2 workers of 8 threads, PostgreSQL with fsync
on), gives it a model of 100,000 versions, asks it, stops it, and does the same with `mlreg up`. The
servers run one after the other; each has the same embedded PostgreSQL. Milliseconds are medians of
whole calls over one kept-alive connection; `_ratio` is how many times better mlreg is.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import psycopg
import uvloop

from benchmarks.lookup import Connection
from benchmarks.promote import put_files
from benchmarks.register import bare_row, uploaded
from benchmarks.report import report
from benchmarks.seed import seed_versions
from mlreg.cli.folder import DataFolder
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import OWNER
from tests.servers.mlflow_server import ENVIRONMENT
from tests.servers.running import RunningMlreg
from tests.servers.s3 import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = 100_000
FEW = 50
CLIENTS = 32
REGISTERING = 8
SECONDS = 5.0
CALLS = 60
MODEL = "many-0"


@dataclass(frozen=True)
class Question:
    """One request; `body` is sent as JSON."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def bytes(self, host: str, headers: Mapping[str, str]) -> bytes:
        """Return it as it goes over the wire."""
        body = b"" if self.body is None else json.dumps(self.body).encode()
        lines = {"Host": host, **headers, **self.headers, "Content-Length": str(len(body))}
        if body:
            lines["Content-Type"] = "application/json"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Asking(Connection):
    """Asks the next question of an endless row as soon as the last one is answered."""

    wanted = b" 20"

    def __init__(self, questions: Iterator[bytes]) -> None:
        super().__init__(b"")
        self.questions = questions

    def send(self) -> None:
        """Send the next one."""
        self.request = next(self.questions)
        super().send()


class Server:
    """A registry under measurement: how it is asked, whatever it is."""

    url = ""
    headers: Mapping[str, str] = {}

    @property
    def host(self) -> str:
        """Where it listens, as `host:port`."""
        return self.url.removeprefix("http://")

    def seconds(self, ask: Callable[[int], Question], calls: int = CALLS) -> float:
        """Return the median of the seconds of a call over one connection."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        found = []
        for number in range(calls):
            question = ask(number)
            body = None if question.body is None else json.dumps(question.body)
            headers = {**self.headers, **question.headers, "Content-Type": "application/json"}
            began = time.perf_counter()
            connection.request(question.method, question.path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            found.append(time.perf_counter() - began)
            assert answer.status < 300, said
        connection.close()
        return statistics.median(found)

    def per_second(self, ask: Callable[[int, int], Question], clients: int) -> tuple[float, float]:
        """Return answers per second and the 99th percentile of their seconds."""

        def questions(client: int) -> Iterator[bytes]:
            number = 0
            while True:
                yield ask(client, number).bytes(self.host, self.headers)
                number += 1

        made = uvloop.run(self._load([questions(client) for client in range(clients)]))
        assert not any(one.failed for one in made)
        seconds = sorted(second for one in made for second in one.seconds)
        return len(seconds) / SECONDS, seconds[int(len(seconds) * 0.99)]

    async def _load(self, rows: list[Iterator[bytes]]) -> list[Asking]:
        host, port = self.host.split(":")
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda row=row: Asking(row), host, int(port))
            for row in rows
        ]
        await asyncio.sleep(SECONDS)
        for transport, _ in made:
            transport.abort()
        return [protocol for _, protocol in made]


class Mlflow(Server):
    """MLflow's server over PostgreSQL."""

    api = "/api/2.0/mlflow"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlflow-bench-"))
        self.postgres = EmbeddedPostgres(self.folder / "pg")
        self.process: subprocess.Popen | None = None

    def start(self) -> float:
        """Make its database, start it twice, and return the seconds of the second start."""
        self.postgres.start()
        with psycopg.connect(_plain(self.postgres.url()), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mlflow")
        self._serve()
        self._kill()
        return self._serve()

    def _serve(self) -> float:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        store = f"postgresql+psycopg2://postgres@/mlflow?host={self.postgres.socket_folder}"
        words = [
            *(ENVIRONMENT / "bin" / "python", "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(port), "--backend-store-uri", store, "--workers", "2"),
            *("--artifacts-destination", self.folder / "artifacts"),
            *("--gunicorn-opts", "--threads 8 --worker-class gthread"),
        ]
        began = time.perf_counter()
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                words,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )
        while not _answers(f"{self.url}/health"):
            time.sleep(0.05)
        return time.perf_counter() - began

    def seed(self) -> None:
        """Give it models of 50 and of 100,000 versions, and 32 of 50."""
        names = {"few-0": FEW, MODEL: MANY, **{f"busy-{n}": FEW for n in range(CLIENTS)}}
        with psycopg.connect(_plain(self.postgres.url("mlflow"))) as connection:
            workspace = "default"
            for name, count in names.items():
                connection.execute(
                    "INSERT INTO registered_models (name, creation_time, last_updated_time,"
                    " workspace) VALUES (%s, 1, 1, %s)",
                    (name, workspace),
                )
                connection.execute(
                    "INSERT INTO model_versions (name, version, creation_time, last_updated_time,"
                    " description, current_stage, source, run_id, status, workspace)"
                    " SELECT %s, n, n, n, '', 'None', 's3://bucket/' || n, '', 'READY', %s"
                    " FROM generate_series(1, %s) n",
                    (name, workspace, count),
                )
                connection.execute(
                    "INSERT INTO model_version_tags (key, value, name, version, workspace)"
                    " SELECT 'team', (ARRAY['risk', 'growth', 'ops', 'search'])[n %% 4 + 1], %s, n,"
                    " %s FROM generate_series(1, %s) n",
                    (name, workspace, count),
                )
        with psycopg.connect(_plain(self.postgres.url("mlflow")), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def promote(self, model: str, number: int) -> Question:
        """Point the alias at version 1, then 2, then 1."""
        body = {"name": model, "alias": "champion", "version": str(number % 2 + 1)}
        return Question("POST", f"{self.api}/registered-models/alias", body)

    def look_up(self) -> Question:
        """Ask what the alias points at."""
        return Question("GET", f"{self.api}/registered-models/alias?name=few-0&alias=champion")

    def register(self, client: int, number: int) -> Question:
        """Register a version row without any file."""
        body = {"name": f"busy-{client}", "source": f"s3://bucket/{client}-{number}"}
        return Question("POST", f"{self.api}/model-versions/create", body)

    def page(self, _number: int) -> Question:
        """Ask for 100 versions at 90 % of 100,000."""
        token = base64.b64encode(json.dumps({"offset": MANY * 9 // 10}).encode()).decode()
        return self._search(f"name='{MODEL}'", token)

    def search(self, _number: int) -> Question:
        """Ask for the newest versions of a team."""
        return self._search(f"name='{MODEL}' AND tags.team='risk'")

    def _search(self, condition: str, token: str = "") -> Question:
        query = f"max_results=100&filter={quote(condition)}&page_token={quote(token)}"
        return Question("GET", f"{self.api}/model-versions/search?{query}")

    def memory_mb(self) -> float:
        """Return the PSS of MLflow's processes and of its PostgreSQL, in MB."""
        return _pss_mb(self.process.pid) + _pss_mb(self.postgres.pid)

    def _kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop everything and remove its folder."""
        self._kill()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Ours(Server):
    """`mlreg up`."""

    def __init__(self) -> None:
        self.running = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
        self.keys = 0
        self.file: Mapping[str, object] = {}

    def start(self) -> float:
        """Start it once to make its folder; the startup benchmark times a second start."""
        self.running.start()
        self.url = self.running.url
        self.headers = {"Authorization": f"Bearer {self.running.token}"}
        return 0.0

    def seed(self) -> None:
        """Give it models of 50 and of 100,000 versions, and 32 of 50."""
        url = EmbeddedPostgres(DataFolder(self.running.data).cluster).url("mlreg", OWNER)
        for prefix, count, models in (("few", FEW, 1), ("many", MANY, 1), ("busy", 1600, CLIENTS)):
            seed_versions(url, count, models, prefix=prefix)
            put_files(url, self.running.data, prefix, 2 * models)
        with self.running.client() as client:
            self.file = uploaded(client)

    def promote(self, model: str, number: int) -> Question:
        """Promote version 1, then 2, then 1."""
        self.keys += 1
        body = {"version": number % 2 + 1, "force": True, "reason": "bench"}
        headers = {"If-Match": "*", "Idempotency-Key": f"{model}-{self.keys}"}
        path = f"/api/v1/models/{model}/deployments/production/promote"
        return Question("POST", path, body, headers)

    def look_up(self) -> Question:
        """Ask for the champion."""
        return Question("GET", "/api/v1/models/few-0/deployments/production")

    def register(self, client: int, _number: int) -> Question:
        """Register a version of a file that is stored, without its provenance."""
        self.keys += 1
        headers = {"Idempotency-Key": f"register-{self.keys}"}
        return Question(
            "POST", f"/api/v1/models/busy-{client}/versions", bare_row(self.file), headers
        )

    def page(self, _number: int) -> Question:
        """Ask for 100 versions at 90 % of 100,000."""
        before = MANY // 10
        return Question("GET", f"/api/v1/models/{MODEL}/versions?before={before}&limit=100")

    def search(self, _number: int) -> Question:
        """Ask for the newest versions of a team."""
        query = quote(f"model:{MODEL} tag.team=risk")
        return Question("GET", f"/api/v1/search?q={query}&limit=100")

    def memory_mb(self) -> float:
        """Return the PSS of all its processes, PostgreSQL included, in MB."""
        return _pss_mb(self.running.process.pid)

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self.running.stop()


def measure_server(server: Mlflow | Ours) -> dict[str, float]:
    """Return every figure of one server; it is started and stopped."""
    found = {"start_seconds": server.start()}
    try:
        server.seed()
        for size, model in ((FEW, "few-0"), (MANY, MODEL)):
            seconds = server.seconds(lambda number, model=model: server.promote(model, number), 20)
            found[f"promote_ms_{size}"] = seconds * 1e3
        found["page_ms"] = server.seconds(server.page, 20) * 1e3
        found["search_ms"] = server.seconds(server.search, 20) * 1e3
        lookups, seconds = server.per_second(lambda _client, _number: server.look_up(), CLIENTS)
        found |= {"lookups_per_second": lookups, "lookup_p99_ms": seconds * 1e3}
        found["promotes_per_second"] = server.per_second(
            lambda client, number: server.promote(f"busy-{client}", number), CLIENTS
        )[0]
        found["registers_per_second"] = server.per_second(server.register, REGISTERING)[0]
        found["memory_mb"] = server.memory_mb()
        return found
    finally:
        server.stop()


def measure() -> dict[str, float]:
    """Measure both, one after the other, and how many times better ours is."""
    theirs, ours = measure_server(Mlflow()), measure_server(Ours())
    theirs["import_seconds"] = _import_seconds(ENVIRONMENT / "bin" / "python", "mlflow")
    ours["import_seconds"] = _import_seconds(Path(".venv/bin/python"), "mlreg.client.client")
    both: dict[str, float] = {}
    for name, number in ours.items():
        if not number:
            continue
        both[name] = number
        both[f"{name}_mlflow"] = theirs[name]
        more = name.endswith("_per_second")
        both[f"{name}_ratio"] = number / theirs[name] if more else theirs[name] / number
    return both | {"start_seconds_mlflow": theirs["start_seconds"]}


def _import_seconds(python: Path, module: str) -> float:
    found = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([python, "-c", f"import {module}"], check=True)
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _pss_mb(pid: int) -> float:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(map(_pss_of, family)) / 1e6


def _pss_of(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:  # a connection of PostgreSQL ended meanwhile
        return 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


TARGETS = {
    f"promote_ms_{FEW}": ("<=", 5.0),
    f"promote_ms_{MANY}": ("<=", 5.0),
    "promotes_per_second": (">=", 350.0),
    "lookups_per_second": (">=", 6_000.0),
    "lookup_p99_ms": ("<=", 15.0),
    "registers_per_second": (">=", 450.0),
    "page_ms": ("<=", 10.0),
    "search_ms": ("<=", 50.0),
    "memory_mb": ("<=", 600.0),
    "import_seconds": ("<=", 0.3),
}


if __name__ == "__main__":
    report(measure, TARGETS)
