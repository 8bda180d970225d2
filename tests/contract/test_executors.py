"""What every executor promises, on each of ours: the same folders, the same ends.

`kubernetes` is held to it against a simulation of the API server that runs pods as processes; `ray`
against a real Ray, nightly.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import (
    MEBIBYTE,
    ChildTask,
    Limits,
    failure_line,
    is_over_limit,
)
from mlreg.controller.executors.kubernetes import KubernetesEngine
from mlreg.controller.executors.kubernetes_manifest import PodShape
from mlreg.controller.executors.local import LocalExecutor
from mlreg.controller.executors.ray import RayEngine
from mlreg.controller.executors.remote import Patience, RemoteExecutor
from tests.integration.test_local_executor import ENVIRONMENT, gone
from tests.servers.simulated_kubernetes import TOKEN, SimulatedKubernetes

PATIENCE = Patience(look_seconds=0.05, start_seconds=60)
KINDS = [
    "local",
    "kubernetes",
    pytest.param("ray", marks=pytest.mark.nightly),
]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    return Exchange(f"file://{tmp_path_factory.mktemp('exchange')}")


@pytest.fixture(scope="module")
def ray_cluster():
    from tests.servers.ray_cluster import RayCluster

    os.environ["PYTHONPATH"] = ENVIRONMENT["PYTHONPATH"]
    cluster = RayCluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module", params=KINDS)
def executor(request, exchange):
    if request.param == "local":
        executor = LocalExecutor(ENVIRONMENT, preload=())
        yield executor
        executor.close()
    elif request.param == "ray":
        cluster = request.getfixturevalue("ray_cluster")
        engine = RayEngine(ClusterApi(cluster.url))
        yield RemoteExecutor(engine, exchange, str(cluster.python), PATIENCE)
    else:
        cluster = SimulatedKubernetes(ENVIRONMENT).start()
        api = ClusterApi(cluster.url, lambda: TOKEN)
        engine = KubernetesEngine(api, "training", PodShape(image="mlreg"))
        yield RemoteExecutor(engine, exchange, sys.executable, PATIENCE)
        cluster.stop()


@pytest.fixture
def run(executor, tmp_path):
    def run(entry, *, halt=None, on_lines=None, **limits):
        lines = []
        task = ChildTask(
            f"executor_children:{entry}", tmp_path, Limits(**limits), on_lines or lines.extend
        )
        return task, executor.run(task, halt or threading.Event()), lines

    return run


def test_a_task_answers_by_files_and_prints_lines(run, tmp_path, exchange):
    job = json.dumps({"numbers": [1, 2, 3]})
    (tmp_path / "job.json").write_text(job)
    (tmp_path / "inputs/deep").mkdir(parents=True)
    (tmp_path / "inputs/deep/rows").write_bytes(os.urandom(3 * MEBIBYTE))
    _, result, lines = run("answer_from_folders")
    assert result.succeeded, lines
    assert json.loads((tmp_path / "result.json").read_text()) == {"sum": 6, "bytes": 3 * MEBIBYTE}
    assert (tmp_path / "out/deep/model").read_bytes() == b"model"
    assert (tmp_path / "job.json").read_text() == job
    assert {"and an error", "lines", "two"} <= set(lines)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert names == {
        *("job.json", "result.json", "inputs", "inputs/deep", "inputs/deep/rows"),
        *("out", "out/deep", "out/deep/model"),
    }
    place = Path(exchange.url.removeprefix("file://"))
    assert not list(place.iterdir()), "nothing of the task is left where files are exchanged"


def test_an_exception_becomes_one_line_and_a_traceback_in_the_log(run):
    task, result, lines = run("raise_error")
    assert (result.exit_code, result.succeeded) == (1, False)
    assert failure_line(task, result) == "column 'temp' is missing"
    assert not is_over_limit(task, result)
    assert any("Traceback" in line for line in lines)


def test_a_hard_end_is_told(run):
    _, result, _ = run("kill_self")
    assert (result.exit_code, result.signal) == (None, 9)


def test_limits_hold_wherever_it_runs(run):
    task, result, _ = run("sleep", wall_seconds=0.5)
    assert result.killed_because == "wall_time"
    task, result, _ = run("eat", address_space_bytes=640 * MEBIBYTE)
    assert not result.succeeded
    assert failure_line(task, result) == "out of memory: the limit is 640 MiB of address space"
    assert is_over_limit(task, result), "another attempt would end as this one"


def test_what_prints_without_end_is_heard_within_bounds(run):
    _, result, lines = run("print_for_ever", output_bytes=100_000)
    assert result.succeeded
    assert sum(map(len, lines)) < 120_000
    assert any(line.endswith("more bytes of output were dropped]") for line in lines)


def test_lines_come_while_it_runs_and_a_halt_kills_all_of_it(run):
    halt, heard = threading.Event(), []

    def hear(lines):
        heard.extend(lines)
        if any(line.startswith("pids ") for line in lines):
            halt.set()

    _, result, _ = run("print_pids_and_sleep", halt=halt, on_lines=hear)
    assert result.killed_because == "halted"
    (pids,) = [line.split()[1:] for line in heard if line.startswith("pids ")]
    assert gone(map(int, pids))


def test_a_halt_before_the_start_starts_nothing_that_stays(run):
    halt = threading.Event()
    halt.set()
    _, result, _ = run("sleep", halt=halt)
    assert result.killed_because == "halted"


def test_nothing_of_its_surroundings_is_seen(run, tmp_path):
    _, result, lines = run("look_around")
    assert result.succeeded, lines
    seen = json.loads((tmp_path / "result.json").read_text())["environment"]
    assert not any(name.startswith(("MLREG_", "AWS_")) for name in seen)
    assert "secret" not in json.dumps(seen)
