"""Artifacts: 1 GB to a local S3 server against boto3's best, and a 300 kB model there and back.

`python -m benchmarks.artifacts` starts `rclone serve s3` and an API process on it. It sends one
file of 1 GB (`MLREG_BENCH_BYTES`) by boto3 under several TransferConfigs, and by our client
straight to the store, hashed in the same pass, until the server says `uploaded`; in turns and as
often, the best of each. Meanwhile the API's memory (PSS) is looked at. Then downloads likewise,
verified. The small numbers are those of `mlreg serve` with a folder store, with fsync as in
production.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from boto3.s3.transfer import TransferConfig

from benchmarks.report import report
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.client.cache import BlobCache
from mlreg.client.uploads import Uploads
from mlreg.client.versions import Versions
from mlreg.registry.store.database import Database
from tests.servers.s3 import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, rclone_server
from tests.servers.serving import Serving, first_token
from tests.upload_makers import bare_request, make_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlreg.client.client import Client

BYTES = int(os.environ.get("MLREG_BENCH_BYTES", str(2**30)))
ROUNDS = 3
SMALL_BYTES = 300_000
SMALL_ROUNDS = 40
MIB = 2**20
TUNED = [
    TransferConfig(multipart_chunksize=size * MIB, multipart_threshold=size * MIB, **more)
    for size, more in ((16, {"max_concurrency": 4}), (64, {"max_concurrency": 4}), (16, {}))
]


@contextmanager
def servers() -> Iterator[tuple]:
    """Run PostgreSQL and an S3 server; hand out a database and the S3 server."""
    folder = Path(tempfile.mkdtemp(prefix="mlreg-bench-"))
    postgres, s3 = EmbeddedPostgres(folder / "pg"), rclone_server()
    postgres.start()
    s3.start()
    upgrade(postgres.url())
    database = Database(postgres.url())
    try:
        yield database, s3, folder
    finally:
        database.dispose()
        s3.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(database: Database, url: str, token: str, **environ: str) -> Iterator[Serving]:
    """Run an API process."""
    api = Serving(database, url, token=token, **environ)
    try:
        api.start()
        yield api
    finally:
        api.stop()


class Memory:
    """The greatest memory of a process while a block runs, above what it was before, in MB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._idle = self._now()
        self._most = self._idle
        self._ended = threading.Event()

    def _now(self) -> int:
        return self._process.memory_full_info().pss

    def watch(self) -> None:
        """Look until the end."""
        with suppress(psutil.NoSuchProcess):
            while not self._ended.wait(0.05):
                self._most = max(self._most, self._now())

    def end(self) -> float:
        """Stop looking and return the growth."""
        self._ended.set()
        return (self._most - self._idle) / 1e6


def seconds_of(act: Callable[..., object], *args: object, **more: object) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    act(*args, **more)
    return time.perf_counter() - began


def load_champion(versions: Versions, target: Path) -> None:
    """Fetch the champion's files, verified."""
    versions.download(versions.champion("small"), target)


def ours_up(client: Client, file: Path, cache: Path) -> tuple[float, str]:
    """Send a file until it is `uploaded`; return the seconds and the upload to wait for."""
    os.utime(file)  # another file to who remembers uploads: it is sent again
    uploads, found = Uploads(client.transport, BlobCache(cache)), []
    seconds = seconds_of(lambda: found.append(uploads.send("model.bin", file)))
    uploads.await_verified(found[0])
    return seconds, found[0].form.digest


def measure_large(database: Database, token: str, s3, folder: Path) -> dict[str, float]:
    """Measure both directions of a large file, in turns."""
    file, out = folder / "model.bin", folder / "out"
    with file.open("wb") as made:
        for _ in range(-(-BYTES // MIB)):
            made.write(os.urandom(MIB))
    environ = {
        "MLREG_S3_ENDPOINT_URL": s3.url,
        "MLREG_S3_REGION": "us-east-1",
        "MLREG_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "MLREG_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    boto, up, down = s3.client(), {"boto3": [], "mlreg": []}, {"boto3": [], "mlreg": []}
    with serving(database, f"s3://{BUCKET}/bench", token, **environ) as api, api.client() as client:
        make_model(client, "large")
        memory = Memory(api.process.pid)
        threading.Thread(target=memory.watch, daemon=True).start()
        for number in range(ROUNDS):
            for config in TUNED:
                key = f"boto3-{number}"
                up["boto3"].append(
                    seconds_of(boto.upload_file, str(file), BUCKET, key, Config=config)
                )
                down["boto3"].append(
                    seconds_of(boto.download_file, BUCKET, key, str(out), Config=config)
                )
                boto.delete_object(Bucket=BUCKET, Key=key)
                up["mlreg"].append(ours_up(client, file, folder / f"cache-{number}")[0])
        version = client.versions.register("large", file, bare_request)
        whole = client.versions.get("large", version.number)
        for number in range(ROUNDS):
            versions = Versions(client.transport, BlobCache(folder / f"down-{number}"), link=True)
            target = folder / f"got-{number}"
            down["mlreg"].append(seconds_of(versions.download, whole, target))
            shutil.rmtree(target)
            shutil.rmtree(folder / f"down-{number}")
        grown = memory.end()
    boto.close()
    best = {name: min(found) for name, found in up.items()}
    got = {name: min(found) for name, found in down.items()}
    return {
        "upload_mb_per_second": BYTES / best["mlreg"] / 1e6,
        "upload_boto3_mb_per_second": BYTES / best["boto3"] / 1e6,
        "upload_share_of_boto3": best["boto3"] / best["mlreg"],
        "download_share_of_boto3": got["boto3"] / got["mlreg"],
        "server_memory_above_idle_mb": grown,
    }


def measure_small(database: Database, token: str, folder: Path) -> dict[str, float]:
    """Measure a model of 300 kB: register and upload, and load by alias, verified."""
    there = []
    with serving(database, (folder / "store").as_uri(), token) as api, api.client() as client:
        make_model(client, "small")
        no_cache = Versions(client.transport, BlobCache(folder / "none", 0))
        for number in range(SMALL_ROUNDS):
            file = folder / f"{number}.bin"
            file.write_bytes(os.urandom(SMALL_BYTES))
            there.append(seconds_of(client.versions.register, "small", file, bare_request))
        client.deployments.promote("small", SMALL_ROUNDS, force=True, reason="bench")
        targets = [folder / f"load-{number}" for number in range(SMALL_ROUNDS)]
        back = [seconds_of(load_champion, no_cache, target) for target in targets]
    return {
        "register_300kb_p50_ms": statistics.median(there[3:]) * 1e3,
        "verified_load_by_alias_p50_ms": statistics.median(back[3:]) * 1e3,
    }


def measure() -> dict[str, float]:
    """Measure everything."""
    with servers() as (database, s3, folder):
        token = first_token(database)
        small = measure_small(database, token, folder)
        return {**small, **measure_large(database, token, s3, folder)}


TARGETS = {
    "register_300kb_p50_ms": ("<=", 60.0),
    "verified_load_by_alias_p50_ms": ("<=", 30.0),
    "upload_share_of_boto3": (">=", 0.8),
    "download_share_of_boto3": (">=", 0.8),
    "server_memory_above_idle_mb": ("<=", 150.0),
}


if __name__ == "__main__":
    report(measure, TARGETS)
