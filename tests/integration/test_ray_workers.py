"""One LightGBM model of several workers of Ray Train, on a real Ray; nightly."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import GIBIBYTE, ChildTask, Resources
from mlreg.controller.executors.ray import RayEngine
from mlreg.controller.executors.remote import Patience, RemoteExecutor
from mlreg.controller.trainers.child import train
from tests.integration.test_local_executor import gone
from tests.integration.test_shards import ENTRY, area
from tests.integration.training_folder import make_rows, read_result, train_job
from tests.servers.ray_cluster import RayCluster

pytestmark = pytest.mark.nightly
os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent))  # the children of the tests
TWO = Resources(cpus=1, memory_bytes=GIBIBYTE // 4, workers=2)


@pytest.fixture(scope="module")
def cluster():
    cluster = RayCluster(cpus=2)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def executor(cluster, tmp_path):
    engine = RayEngine(ClusterApi(cluster.url))
    exchange = Exchange(f"file://{tmp_path}/exchange")
    return RemoteExecutor(engine, exchange, str(cluster.python), Patience(look_seconds=0.3))


@pytest.mark.timeout(300)
def test_two_workers_train_the_model_that_one_would(executor, tmp_path):
    lines = []
    folder = train_job(tmp_path / "together")
    task = ChildTask(ENTRY, folder, on_lines=lines.extend, resources=TWO)
    ended = executor.run(task, threading.Event())
    assert ended.succeeded, lines
    result = read_result(folder)
    assert result["outcome"] == "trained", (result, lines)
    assert (result["shard"]["world"], result["shard"]["rows"]) == (2, 1000)
    alone = train_job(tmp_path / "alone")
    train(alone)
    unseen = make_rows(seed=9)
    assert area(folder, unseen) == pytest.approx(area(alone, unseen), abs=0.01)
    assert any("round 20 of 20" in line for line in lines)


@pytest.mark.timeout(300)
def test_a_refusal_of_the_workers_is_the_refusal_of_the_run(executor, tmp_path):
    folder = train_job(tmp_path / "together", trainer="lightgbm", params={"leaves": 7})
    ended = executor.run(ChildTask(ENTRY, folder, resources=TWO), threading.Event())
    assert ended.succeeded
    result = read_result(folder)
    assert (result["outcome"], result["code"]) == ("failed", "invalid_training_parameter")


@pytest.mark.timeout(300)
def test_a_halt_leaves_no_child_of_a_worker(executor, tmp_path):
    halt, pids = threading.Event(), []

    def hear(lines):
        for line in lines:
            if "pids " in line:
                pids.append(int(line.partition("pids ")[2].split()[0]))
                halt.set()

    folder = train_job(tmp_path / "together")
    task = ChildTask("executor_children:print_pids_and_sleep", folder, on_lines=hear, resources=TWO)
    assert executor.run(task, halt).killed_because == "halted"
    assert pids
    assert gone(pids, seconds=15)
