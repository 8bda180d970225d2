"""Runs whose policy trains on a cluster: from the rows to the version, and what its faults cost."""

from __future__ import annotations

import os
import sys

import pytest

from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.executors.cluster_api import ClusterApi
from mlreg.controller.executors.exchange import Exchange
from mlreg.controller.executors.kinds import Executors
from mlreg.controller.executors.kubernetes import KubernetesEngine
from mlreg.controller.executors.kubernetes_manifest import PodShape
from mlreg.controller.executors.remote import Patience, RemoteExecutor
from mlreg.registry.artifacts.filesystem import FolderStore
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    deployment,
    executor_of_all,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    worker,
)
from tests.servers.simulated_kubernetes import TOKEN, SimulatedKubernetes, await_state

pytestmark = pytest.mark.nightly  # each is a run from its rows to its version
NOW = START + 32 * DAY
PARAMS = {"num_leaves": 7, "min_data_in_leaf": 20, "objective": "binary"}


def rule(executor):
    return RetrainRule(params=PARAMS, rounds=20, executor=executor)


@pytest.fixture
def cluster():
    cluster = SimulatedKubernetes({"PATH": os.environ["PATH"]}).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def at_work(database, cluster, tmp_path):
    api = ClusterApi(cluster.url, lambda: TOKEN)
    engine = KubernetesEngine(api, "training", PodShape(image="mlreg"))
    remote = RemoteExecutor(
        engine,
        Exchange(f"file://{tmp_path}/exchange"),
        sys.executable,
        Patience(look_seconds=0.05, silence_seconds=0.5, remove_seconds=1),
    )
    executors = Executors({"local": executor_of_all(), "kubernetes": remote})
    store, clock = FolderStore(tmp_path / "store"), FixedClock(NOW)
    with worker(database, store, clock, tmp_path / "work", executors):
        yield


@pytest.mark.usefixtures("at_work")
def test_a_run_trains_on_the_cluster_and_is_judged_here(database, cluster):
    log_stream(database, make_model(database), START, 31)
    wanted = {"kind": "kubernetes", "cpus": 2, "memory": "1GiB"}
    run = await_end(database, ask(database, now=NOW, retrain=rule(wanted)))
    lines = log_of(database, run.id)
    assert run.state == "succeeded", (run.error, lines)
    assert any("round 20 of 20" in line for line in lines), "the cluster's lines are the run's"
    (job,) = cluster.posted
    assert job["metadata"]["labels"]["mlreg/run"] == str(run.id)
    assert cluster.pods == {}


@pytest.mark.usefixtures("at_work")
def test_a_pod_that_is_killed_is_tried_again_and_the_champion_stays(database, cluster):
    log_stream(database, make_model(database), START, 31)
    run = await_end(database, ask(database, now=NOW))
    promote_by_hand(database, run.version, now=NOW, actor=PERSON)

    def fail(pod):
        cluster.kill(pod)
        return True

    again = ask(database, now=NOW, retrain=rule("kubernetes"))
    await_state(cluster, lambda pod: pod.process is not None and fail(pod))
    retried = await_end(database, again)
    assert retried.state == "succeeded", "another attempt went well"
    assert retried.attempt == 2
    assert any("attempt 2" in line for line in log_of(database, again))
    assert deployment(database).champion == run.version


@pytest.mark.usefixtures("at_work")
def test_a_cluster_that_never_answers_is_the_cause_of_a_dead_run(database, cluster):
    log_stream(database, make_model(database), START, 31)
    cluster.silent = True
    run = await_end(database, ask(database, now=NOW, retrain=rule("kubernetes")), seconds=110)
    assert run.state == "dead"
    assert "gives no answer" in run.error
    assert deployment(database) is None


@pytest.mark.usefixtures("at_work")
def test_an_executor_that_no_worker_has_is_named(database):
    log_stream(database, make_model(database), START, 31)
    run = await_end(database, ask(database, now=NOW, retrain=rule("ray")), seconds=110)
    assert "this worker has no executor 'ray'; it has kubernetes, local" in run.error
