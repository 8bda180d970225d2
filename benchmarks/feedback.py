"""The feedback log: rows into durable storage, out of it again, and profiles of them.

`python -m benchmarks.feedback` starts `mlreg up` in a folder of its own (PostgreSQL with fsync on),
sends Arrow batches of 1,000 predictions of 20 features over four kept-alive connections, and counts
the rows that were acknowledged, each of which is on disk by then; then one row a request, as JSON,
over 64 kept-alive connections. The senders are another process of the same machine. Afterwards it
times, in this process: joining a million predictions to their labels with the AUC of the result,
reading 90 days of 900 rows, and profiling 1 M x 50.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from mlreg.client.feedback import arrow_of
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.profile import profile_rows
from mlreg.controller.domain.snapshots import Interval, SnapshotBody
from mlreg.controller.feedback.segments import arrived, make_segment
from mlreg.controller.services.snapshots import read_snapshot
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.services.uploads import send_blob
from tests.servers.running import RunningMlreg

if TYPE_CHECKING:
    from collections.abc import Iterator

FEATURES = [f"feature_{number}" for number in range(20)]
ROWS = 1_000
CONNECTIONS = 4
ROW_CONNECTIONS = 64
SECONDS = 6.0
START = datetime(2013, 1, 1, tzinfo=UTC)
TARGETS = {
    "feedback_rows_per_second": (">=", 200_000.0),
    "feedback_requests_of_one_row_per_second": (">=", 3_000.0),
    "join_1m_and_auc_seconds": ("<=", 1.5),
    "read_90_days_seconds": ("<=", 0.3),
    "profile_1m_by_50_seconds": ("<=", 0.15),
}


def predictions(rows: int, features: list[str], *, every: timedelta) -> pa.Table:
    """Return made-up predictions."""
    rng = np.random.default_rng(0)
    first = int(START.timestamp() * 1e6)
    step = int(every.total_seconds() * 1e6)
    columns = {
        "prediction_id": pa.array([f"{number:016x}" for number in range(rows)]),
        "time": pa.array(first + step * np.arange(rows), pa.timestamp("us", tz="UTC")),
        "version": pa.nulls(rows, pa.int32()),
        "score": pa.array(rng.random(rows)),
        "entity": pa.nulls(rows, pa.string()),
    }
    return pa.table({**columns, **{name: pa.array(rng.normal(size=rows)) for name in features}})


def labels(rows: pa.Table) -> pa.Table:
    """Return a label of each prediction, an hour later."""
    size = rows.num_rows
    truth = np.random.default_rng(1).random(size) < rows["score"].to_numpy()
    times = rows["time"].cast(pa.int64()).to_numpy() + 3_600_000_000
    return pa.table(
        {
            "prediction_id": rows["prediction_id"],
            "time": pa.array(times, pa.timestamp("us", tz="UTC")),
            "label": pa.array(truth.astype(float)),
            "weight": pa.nulls(size, pa.float64()),
        }
    )


def send_for(url: str, token: str, body: bytes, sender: str) -> int:
    """Send a batch again and again, each time under another id; return the rows acknowledged."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/vnd.apache.arrow.stream",
    }
    number, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        target = f"/api/v1/models/bench/predictions?batch_id={sender}-{number}"
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(content.decode())
        number += 1
    return number * ROWS


def send_all(url: str, token: str) -> float:
    """Return acknowledged rows per second of four connections."""
    table = predictions(ROWS, FEATURES, every=timedelta(seconds=1))
    body = arrow_of(table)
    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        names = [f"{os.getpid()}-{number}" for number in range(CONNECTIONS)]
        sent = sum(pool.map(lambda name: send_for(url, token, body, name), names))
    return sent / (time.monotonic() - began)


def json_request(host: str, token: str) -> tuple[bytes, bytes]:
    """Return a request of one prediction, as bytes before and after its prediction id."""
    row = predictions(1, FEATURES, every=timedelta(seconds=1)).to_pylist()[0]
    features = {name: row[name] for name in FEATURES}
    body = {
        "rows": [
            {
                "prediction_id": "{:016d}",
                "time": row["time"].isoformat(),
                "score": row["score"],
                "features": features,
            }
        ]
    }
    before, after = json.dumps(body).split("{:016d}")
    length = len(before) + 16 + len(after)
    head = (
        "POST /api/v1/models/bench/predictions HTTP/1.1\r\n"
        f"Host: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return (head + before).encode(), after.encode()


class Sender(asyncio.Protocol):
    """One kept-alive connection that sends its next row when the last one was acknowledged."""

    def __init__(self, request: tuple[bytes, bytes], numbers: Iterator[int], until: float) -> None:
        self.request = request
        self.numbers = numbers
        self.until = until
        self.acknowledged = 0
        self.ended = asyncio.get_running_loop().create_future()
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first row."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send a row that nobody else sends."""
        before, after = self.request
        self.transport.write(b"%b%016d%b" % (before, next(self.numbers), after))

    def data_received(self, content: bytes) -> None:
        """Count an answer that is whole, and send the next row."""
        self.seen += content
        if not self.seen.endswith(b"}"):
            return
        if not self.seen.startswith(b"HTTP/1.1 200"):
            self.ended.set_exception(SystemExit(self.seen.decode()))
            return
        self.acknowledged += 1
        self.seen = b""
        if time.monotonic() < self.until:
            self.send()
        else:
            self.transport.close()
            self.ended.set_result(None)


async def send_rows(url: str, token: str) -> float:
    """Return acknowledged requests of one row per second, over many kept-alive connections."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    numbers = itertools.count(os.getpid() * 10**9)
    began = time.monotonic()
    request = json_request(f"{host}:{port}", token)
    senders = [Sender(request, numbers, began + SECONDS) for _ in range(ROW_CONNECTIONS)]
    loop = asyncio.get_running_loop()
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, host, port)
    await asyncio.gather(*(sender.ended for sender in senders))
    return sum(sender.acknowledged for sender in senders) / (time.monotonic() - began)


def measure_ingest() -> dict[str, float]:
    """Return acknowledged rows per second of a server that runs as a user starts it."""
    mlreg = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
    mlreg.start()
    try:
        features = [FeatureForm(name=name, dtype="float") for name in FEATURES]
        mlreg.client().models.create(
            ModelRequest(name="bench", target=TargetForm(task="binary"), features=features)
        )
        return {
            "feedback_rows_per_second": sent_by_another("--send", mlreg),
            "feedback_requests_of_one_row_per_second": sent_by_another("--send-rows", mlreg),
        }
    finally:
        mlreg.stop()


def sent_by_another(option: str, mlreg: RunningMlreg) -> float:
    """Return what another process measures that only sends."""
    words = [sys.executable, "-m", "benchmarks.feedback", option, mlreg.url]
    environ = {**os.environ, "MLREG_TOKEN": mlreg.token}
    done = subprocess.run(words, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def frozen(store: FolderStore, parts: list[pa.Table]) -> SnapshotBody:
    """Store predictions, and a label of each, as a segment per part."""
    digests: dict[str, list[str]] = {"predictions": [], "labels": []}
    for number, part in enumerate(parts, start=1):
        for kind, rows in (("predictions", part), ("labels", labels(part))):
            segment = make_segment(kind, [arrived(number, rows)])
            digests[kind].append(send_blob(store, io.BytesIO(segment.content)).digest)
    return SnapshotBody(
        model="bench",
        predictions=tuple(digests["predictions"]),
        labels=tuple(digests["labels"]),
        range=Interval(START, START + timedelta(days=400)),
        labels_until=START + timedelta(days=400),
        max_label_delay=timedelta(days=2),
    )


def auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve of scores without ties."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    positive = truth == 1.0
    count = positive.sum()
    return (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(truth) - count))


def measure_reading() -> dict[str, float]:
    """Return the seconds of reading a million rows, and of 90 days of 900 rows."""
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        million = predictions(1_000_000, [], every=timedelta(seconds=30))
        body = frozen(store, [million.slice(start, 250_000) for start in range(0, 10**6, 250_000)])
        began = time.perf_counter()
        rows = read_snapshot(store, body, ["score", "label"])
        auc(rows["label"].to_numpy(), rows["score"].to_numpy())
        join_seconds = time.perf_counter() - began
        days = predictions(90 * 900, FEATURES, every=timedelta(seconds=96))
        body = frozen(store, [days.slice(900 * day, 900) for day in range(90)])
        began = time.perf_counter()
        read_snapshot(store, body)
        return {
            "join_1m_and_auc_seconds": join_seconds,
            "read_90_days_seconds": time.perf_counter() - began,
        }


def measure_profiles() -> dict[str, float]:
    """Return the seconds of profiling a million rows of 50 features."""
    names = [f"feature_{number}" for number in range(50)]
    contract = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in names])
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=1_000_000) for name in names}
    bins = make_bins({name: values[:50_000] for name, values in columns.items()}, contract)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        profile_rows(columns, bins)
        seconds.append(time.perf_counter() - began)
    return {"profile_1m_by_50_seconds": min(seconds)}


def main() -> None:
    """Measure, and print each number with its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--send", metavar="URL", help="only send, and print the rows per second")
    parser.add_argument("--send-rows", metavar="URL", help="the same, one row a request")
    asked = parser.parse_args()
    if asked.send:
        print(send_all(asked.send, os.environ["MLREG_TOKEN"]))
        return
    if asked.send_rows:
        print(asyncio.run(send_rows(asked.send_rows, os.environ["MLREG_TOKEN"])))
        return
    found = {**measure_ingest(), **measure_reading(), **measure_profiles()}
    if asked.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        sign, target = TARGETS[name]
        print(f"{name:32} {value:12,.2f}  (target {sign} {target:,.4g})")


if __name__ == "__main__":
    main()
