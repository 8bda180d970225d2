"""What it costs to run a training by each executor, instead of by a call in the worker itself.

`start` is from the call of the executor until the child's own code runs, `child_own_mb` the memory
that a child shares with nobody then. `overhead` is a small training by the executor against the
same one as a plain call: files, a fork, confinement, and the watch over it. The first start of the
local executor is that of its fork server, which imports the libraries once for all children.

`ray` is measured where its environment is (`make ray`), on a cluster of one node that is started
for it; of `kubernetes` it is the making of the manifest alone: what a cluster takes is its own.

Why these targets: a run is to have started 2 s after its firing, so a twentieth of that may go
into the start of its child; a training that takes less than a few seconds should still be mostly
training; a worker of 1 GiB should have room for several children beside its own. Who sends a run
to a cluster has minutes of work for it: ten seconds are what starting may take there.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.children import NOTE
from benchmarks.report import report
from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.engine import EngineJob
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import ChildTask, Resources
from mlreg.controller.executors.kubernetes_manifest import PodShape, job_manifest
from mlreg.controller.executors.local import PRELOAD, LocalExecutor
from mlreg.controller.executors.ray import RayEngine
from mlreg.controller.executors.remote import Patience, RemoteExecutor
from mlreg.controller.services.work import CHILD_MODULES
from mlreg.controller.trainers.child import train
from tests.integration.training_folder import make_rows, train_job
from tests.servers.ray_cluster import ENVIRONMENT, RayCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.executors.executor import Executor

ROOT = Path(__file__).resolve().parent.parent
TRAIN = "mlreg.controller.trainers.child:train"
LOCAL_STARTS, RAY_STARTS, TRAININGS, MANIFESTS = 20, 3, 5, 2_000
WATCH_SECONDS = 5.0
TARGETS = {
    "local_start_seconds": ("<=", 0.1),
    "local_overhead_seconds": ("<=", 0.25),
    "local_child_own_mb": ("<=", 64.0),
    "local_watch_cpu_percent": ("<=", 1.0),
    "ray_start_seconds": ("<=", 10.0),
    "kubernetes_manifest_ms": ("<=", 1.0),
}


def measure() -> dict[str, float]:
    """Measure each executor that is here."""
    with tempfile.TemporaryDirectory(prefix="mlreg-executors-", dir="/tmp") as name:
        folder = Path(name)
        found = measure_local(folder)
        if ENVIRONMENT.exists():
            found |= measure_ray(folder)
    return {**found, "kubernetes_manifest_ms": manifest_seconds() * 1e3}


def measure_local(folder: Path) -> dict[str, float]:
    """Measure children of a fork server that has imported what a worker's has."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    executor = LocalExecutor(environment, (*PRELOAD, *CHILD_MODULES))
    try:
        first, _ = start_of(executor, folder / "first")
        starts = [start_of(executor, folder / f"start-{n}") for n in range(LOCAL_STARTS)]
        plain = min(plain_seconds(folder / f"plain-{n}") for n in range(TRAININGS))
        forked = min(run_seconds(executor, folder / f"forked-{n}") for n in range(TRAININGS))
        watch = watch_share(executor, folder / "watched")
    finally:
        executor.close()
    return {
        "local_first_start_seconds": first,
        "local_start_seconds": statistics.median(seconds for seconds, _ in starts),
        "local_child_own_mb": max(own for _, own in starts),
        "plain_training_seconds": plain,
        "local_overhead_seconds": forked - plain,
        "local_watch_cpu_percent": watch * 100,
    }


def measure_ray(folder: Path) -> dict[str, float]:
    """Measure jobs of a real cluster of one node."""
    with ray_executor(folder) as executor:
        starts = [start_of(executor, folder / f"ray-{n}") for n in range(RAY_STARTS)]
        forked = run_seconds(executor, folder / "ray-training")
    return {
        "ray_start_seconds": statistics.median(seconds for seconds, _ in starts),
        "ray_training_seconds": forked,
    }


@contextmanager
def ray_executor(folder: Path) -> Iterator[Executor]:
    """Start a cluster whose jobs find this folder's modules."""
    os.environ["PYTHONPATH"] = str(ROOT)
    cluster = RayCluster()
    cluster.start()
    try:
        exchange = Exchange(f"file://{folder}/exchange")
        engine = RayEngine(ClusterApi(cluster.url))
        yield RemoteExecutor(engine, exchange, str(cluster.python), Patience(look_seconds=0.3))
    finally:
        cluster.stop()


def start_of(executor: Executor, folder: Path) -> tuple[float, float]:
    """Return the seconds until a child runs, and the MiB that are its own."""
    folder.mkdir()
    began = time.monotonic()
    perform(executor, ChildTask("benchmarks.children:note", folder))
    noted = json.loads((folder / NOTE).read_text())
    return noted["at"] - began, noted["own_bytes"] / 2**20


def plain_seconds(folder: Path) -> float:
    """Return the seconds of a training in this process."""
    prepare(folder)
    began = time.monotonic()
    with Path(os.devnull).open("w", encoding="utf-8") as sink, redirect_stdout(sink):
        train(folder)
    return time.monotonic() - began


def run_seconds(executor: Executor, folder: Path) -> float:
    """Return the seconds of the same training by an executor."""
    prepare(folder)
    began = time.monotonic()
    perform(executor, ChildTask(TRAIN, folder))
    return time.monotonic() - began


def prepare(folder: Path) -> None:
    """Write rows and job of a small training."""
    train_job(folder, make_rows(days=30), threads=1, rounds=60)


def watch_share(executor: Executor, folder: Path) -> float:
    """Return how much of a processor the fork server takes while a child does nothing."""
    folder.mkdir()
    (folder / "seconds").write_text(str(WATCH_SECONDS))
    before = server_seconds()
    perform(executor, ChildTask("benchmarks.children:sleep", folder))
    return (server_seconds() - before) / WATCH_SECONDS


def server_seconds() -> float:
    """Return the seconds that the fork server has run, to the nanosecond."""
    (server,) = (one for one in psutil.Process().children() if "forkserver" in str(one.cmdline()))
    return int(Path(f"/proc/{server.pid}/schedstat").read_text().split()[0]) / 1e9


def perform(executor: Executor, task: ChildTask) -> None:
    """Run a task to its good end."""
    lines: list[str] = []
    heard = ChildTask(task.entry, task.folder, on_lines=lines.extend)
    if not executor.run(heard, threading.Event()).succeeded:
        sys.exit("\n".join([f"{task.entry} did not succeed", *lines]))


def manifest_seconds() -> float:
    """Return the seconds of making the manifest of a Kubernetes Job."""
    job = EngineJob("mlreg-run-1-abc", ("python", "-m", "far_end"), Resources(), 3600.0)
    shape = PodShape(image="mlreg", s3_secret="mlreg-s3", environment={"MLREG_REGION": "eu"})
    began = time.perf_counter()
    for _ in range(MANIFESTS):
        job_manifest(job, shape)
    return (time.perf_counter() - began) / MANIFESTS


if __name__ == "__main__":
    report(measure, TARGETS)
