"""What a remote executor does when the cluster, the exchange or the worker fails.

The cluster is a simulation of Kubernetes' API; the programs, their children and their files are
real.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mlreg.controller.executors import remote as remote_room
from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.engine import (
    EngineRefusedError,
    EngineUnreachableError,
    JobLostError,
    JobNotStartedError,
    ResultDamagedError,
    TaskNotDoneError,
)
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.executor import ChildTask, Limits
from mlreg.controller.executors.kubernetes import KubernetesEngine
from mlreg.controller.executors.kubernetes_manifest import PodShape
from mlreg.controller.executors.remote import Patience, RemoteExecutor
from tests.faults.workers import PATIENCE_SECONDS
from tests.integration.test_local_executor import ENVIRONMENT, gone
from tests.servers.simulated_kubernetes import (
    BUSY_IMAGE,
    MISSING_IMAGE,
    TOKEN,
    SimulatedKubernetes,
    await_state,
)

PATIENCE = Patience(look_seconds=0.05, start_seconds=30, silence_seconds=0.5, remove_seconds=60)


@pytest.fixture
def cluster():
    cluster = SimulatedKubernetes(ENVIRONMENT).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def exchange(tmp_path):
    return Exchange(f"file://{tmp_path}/exchange")


def engine_of(cluster, image="mlreg", token=TOKEN, **shape):
    api = ClusterApi(cluster.url, lambda: token)
    return KubernetesEngine(api, "training", PodShape(image=image, **shape))


def executor_of(cluster, exchange, patience=PATIENCE, **engine):
    return RemoteExecutor(engine_of(cluster, **engine), exchange, sys.executable, patience)


@pytest.fixture
def task(tmp_path):
    def task(entry, on_lines=lambda _: None):
        folder = tmp_path / "run-12-a"
        folder.mkdir()
        (folder / "job.json").write_text(json.dumps({"numbers": [1, 2]}))
        return ChildTask(f"executor_children:{entry}", folder, Limits(), on_lines)

    return task


def left(exchange):
    folder = Path(exchange.url.removeprefix("file://"))
    return list(folder.iterdir()) if folder.exists() else []


def test_a_cluster_that_gives_no_answer_is_named(cluster, exchange, task):
    cluster.silent = True
    executor = executor_of(cluster, exchange, Patience(0.01, 1, 1, 0.05))
    with pytest.raises(EngineUnreachableError, match=r"127\.0\.0\.1.*gives no answer: .*timed out"):
        executor.run(task("answer"), threading.Event())
    assert left(exchange) == []


def test_a_wrong_token_is_a_refusal_and_is_not_shown(cluster, exchange, task):
    executor = executor_of(cluster, exchange, Patience(0.01, 1, 1, 0.05), token="wrong-token")
    with pytest.raises(EngineRefusedError, match="401, Unauthorized") as refused:
        executor.run(task("answer"), threading.Event())
    assert "wrong-token" not in str(refused.value) + repr(executor._engine._api)


def test_an_answer_that_was_lost_makes_no_second_job(cluster, exchange, task):
    cluster.lose_answer = True
    asked = task("answer")
    assert executor_of(cluster, exchange).run(asked, threading.Event()).succeeded
    assert len(cluster.posted) == 1
    assert cluster.posted[0]["metadata"]["labels"]["mlreg/run"] == "12"


def test_an_image_that_cannot_be_pulled_is_told_and_removed(cluster, exchange, task):
    executor = executor_of(cluster, exchange, image=MISSING_IMAGE)
    with pytest.raises(JobNotStartedError, match=r"mlreg-\w+: Kubernetes says: ImagePull"):
        executor.run(task("answer"), threading.Event())
    assert (cluster.pods, left(exchange)) == ({}, [])


def test_no_place_on_the_cluster_is_told_in_its_words(cluster, exchange, task):
    patience = Patience(0.05, start_seconds=0.2)
    executor = executor_of(cluster, exchange, patience, image=BUSY_IMAGE)
    with pytest.raises(JobNotStartedError, match="0/3 nodes have enough memory"):
        executor.run(task("answer"), threading.Event())
    assert cluster.pods == {}


def test_a_halt_while_it_waits_for_a_place_removes_it_with_its_pods(cluster, exchange, task):
    halt = threading.Event()
    threading.Timer(0.3, halt.set).start()
    executor = executor_of(cluster, exchange, image=BUSY_IMAGE)
    assert executor.run(task("answer"), halt).killed_because == "halted"
    assert cluster.pods == {}
    assert cluster.deletions[0]["propagationPolicy"] == "Foreground"


def while_it_sleeps(cluster, exchange, task, fault, patience=PATIENCE):
    """Run a task that tells its pids; once it did, let the fault happen to its pod."""
    pids = []

    def hear(lines):
        for line in lines:
            if line.startswith("pids ") and not pids:
                pids.extend(map(int, line.split()[1:]))
                fault(await_state(cluster, lambda _: True))

    asked = task("print_pids_and_sleep", hear)
    try:
        executor_of(cluster, exchange, patience).run(asked, threading.Event())
    finally:
        assert gone(pids), "nothing of it is left"
        assert pids


def test_a_node_that_is_lost_is_the_cause(cluster, exchange, task):
    def lose(pod):
        cluster.kill(pod)
        pod.lost = True

    with pytest.raises(JobLostError, match="NodeLost: Node n1 is unresponsive"):
        while_it_sleeps(cluster, exchange, task, lose)


def test_a_pod_that_must_leave_its_node_is_lost_and_was_not_halted_by_its_run(
    cluster, exchange, task
):
    with pytest.raises(JobLostError, match="EvictionByEvictionAPI: the node is drained"):
        while_it_sleeps(cluster, exchange, task, cluster.evict)


@pytest.mark.nightly
def test_what_somebody_stops_without_a_word_is_lost(cluster, exchange, task):
    with pytest.raises(JobLostError, match="told to stop, and not by its worker"):
        while_it_sleeps(cluster, exchange, task, lambda pod: pod.process.terminate())


@pytest.mark.nightly
def test_a_container_beside_it_that_runs_on_keeps_no_result_back(cluster, exchange, task):
    cluster.accompany = True
    asked = task("answer")
    assert executor_of(cluster, exchange).run(asked, threading.Event()).succeeded
    assert json.loads((asked.folder / "result.json").read_text()) == {"sum": 3}


@pytest.mark.nightly
@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_that_passes_ends_no_training(cluster, exchange, task, status):
    heard = []

    def hear(lines):
        heard.extend(lines)
        if "line 0" in lines:
            cluster.refusing = status
            threading.Timer(0.2, lambda: setattr(cluster, "refusing", 0)).start()

    patience = replace(PATIENCE, silence_seconds=PATIENCE_SECONDS)
    asked = task("print_slowly", hear)
    assert executor_of(cluster, exchange, patience).run(asked, threading.Event()).succeeded
    assert heard == [f"line {number}" for number in range(20)]


def test_a_cluster_with_too_much_to_do_is_asked_again(cluster):
    cluster.refusing = 429
    with pytest.raises(EngineUnreachableError, match="try again later"):
        engine_of(cluster).probe()


@pytest.mark.nightly
def test_a_pod_that_is_killed_for_its_memory_says_so_and_leaves_no_child(cluster, exchange, task):
    with pytest.raises(JobLostError, match="OOMKilled: exit code 137"):
        while_it_sleeps(cluster, exchange, task, cluster.kill)


@pytest.mark.nightly
def test_a_job_that_somebody_deletes_is_lost(cluster, exchange, task):
    with pytest.raises(JobLostError, match="does not know it any more"):
        while_it_sleeps(cluster, exchange, task, cluster._end)


@pytest.mark.nightly
def test_a_cluster_that_is_silent_for_too_long_is_given_up(cluster, exchange, task):
    def fall_silent(_):
        cluster.silent = True
        threading.Timer(1.5, lambda: setattr(cluster, "silent", False)).start()

    with pytest.raises(EngineUnreachableError, match="timed out"):
        while_it_sleeps(cluster, exchange, task, fall_silent)


@pytest.mark.nightly
def test_a_short_silence_and_a_broken_log_cost_no_line(cluster, exchange, task):
    heard = []

    def hear(lines):
        heard.extend(lines)
        if "line 0" in lines:
            cluster.silent, cluster.break_logs = True, 3
            threading.Timer(0.3, lambda: setattr(cluster, "silent", False)).start()

    asked = task("print_slowly", hear)
    assert executor_of(cluster, exchange).run(asked, threading.Event()).succeeded
    assert heard == [f"line {number}" for number in range(20)]
    assert cluster.break_logs == 0


class Spoiling:
    """An engine, and somebody who spoils the files of a result before they are fetched."""

    def __init__(self, engine, spoil):
        self._engine, self._spoil = engine, spoil

    def remove(self, name):
        self._engine.remove(name)
        self._spoil()

    def __getattr__(self, name):
        return getattr(self._engine, name)


NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize(
    "damage",
    ["flipped", pytest.param("cut", marks=NIGHTLY), pytest.param("gone", marks=NIGHTLY)],
)
def test_a_result_that_is_damaged_on_its_way_is_none(cluster, exchange, task, damage):
    def spoil():
        for path in Path(exchange.url.removeprefix("file://")).rglob("*"):
            if path.is_file() and path.stat().st_size == 100_000:
                content = path.read_bytes()
                path.chmod(0o600)
                path.unlink()
                if damage != "gone":
                    changed = {"flipped": content[:-1] + b"y", "cut": content[:50_000]}[damage]
                    path.write_bytes(changed)

    asked = task("write_model")
    engine = Spoiling(engine_of(cluster), spoil)
    with pytest.raises(ResultDamagedError, match="came back damaged"):
        RemoteExecutor(engine, exchange, sys.executable, PATIENCE).run(asked, threading.Event())
    assert [path.name for path in asked.folder.iterdir()] == ["job.json"]
    assert left(exchange) == []


@pytest.mark.nightly
def test_a_link_in_the_result_does_not_travel(cluster, exchange, task):
    with pytest.raises(TaskNotDoneError, match="file 'out': links do not travel"):
        executor_of(cluster, exchange).run(task("leave_a_link"), threading.Event())


@pytest.mark.nightly
def test_another_version_of_mlreg_there_is_refused(cluster, exchange, task, monkeypatch):
    monkeypatch.setattr(remote_room, "version", lambda _: "99.0")
    with pytest.raises(TaskNotDoneError, match=r"has mlreg .*, and the worker 99\.0"):
        executor_of(cluster, exchange).run(task("answer"), threading.Event())


@pytest.mark.nightly
def test_a_bucket_may_lie_between_with_its_keys_from_a_secret(cluster, rclone, task):
    given = rclone.store().settings
    shape = {
        "s3_secret": "keys",
        "environment": {
            "MLREG_S3_ENDPOINT_URL": given.endpoint_url,
            "MLREG_S3_REGION": given.region or "us-east-1",
        },
    }
    cluster.secrets["keys"] = {
        "access_key_id": given.access_key_id,
        "secret_access_key": given.secret_access_key,
    }
    exchange = Exchange(f"s3://{rclone.store()._bucket}/exchange", given)
    asked = task("answer")
    assert executor_of(cluster, exchange, **shape).run(asked, threading.Event()).succeeded
    assert json.loads((asked.folder / "result.json").read_text()) == {"sum": 3}
    assert given.secret_access_key not in json.dumps(cluster.posted)


WORKER = """
import sys, threading
from pathlib import Path
from mlreg.controller.executors.executor import ChildTask
from tests.integration.test_remote_faults import *
class Cluster: url = sys.argv[1]
task = ChildTask("executor_children:print_pids_and_sleep", Path(sys.argv[3]),
                 on_lines=lambda lines: print(*lines, sep="\\n", flush=True))
executor_of(Cluster, Exchange(sys.argv[2], beat_seconds=0.3)).run(task, threading.Event())
"""


def test_a_program_whose_worker_is_killed_gives_itself_up(cluster, exchange, tmp_path):
    folder = tmp_path / "task"
    folder.mkdir()
    words = [sys.executable, "-c", WORKER, cluster.url, exchange.url, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as worker:
        line = next(line for line in worker.stdout if line.startswith("pids "))
        pod = await_state(cluster, lambda _: True)
        worker.kill()
    assert gone(map(int, line.split()[1:]), seconds=PATIENCE_SECONDS)
    assert pod.process.wait(PATIENCE_SECONDS) == 0
    assert "nobody waits for this task any more" in pod.log.read_text()
    assert left(exchange) == [], "and its files are gone with it"
