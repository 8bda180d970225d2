"""One LightGBM model of several processes over real sockets, and proof that it is one."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.client.scoring.lightgbm_text import validate
from mlreg.controller.domain.shards import (
    Shard,
    ShardReport,
    ShardsDisagreeError,
    check_reports,
    report_of,
)
from mlreg.controller.executors.executor import ChildTask
from mlreg.controller.executors.local import LocalExecutor
from mlreg.controller.trainers.child import score, train
from tests.integration.training_folder import make_rows, read_result, train_job, write_job
from tests.servers.ports import free_port

ENTRY = "mlreg.controller.trainers.child:train"


def train_together(folder, world, **job):
    """Train with so many processes, each with its own folder; return the folders."""
    ports = set()
    while len(ports) < world:
        ports.add(free_port())
    machines = [f"127.0.0.1:{port}" for port in sorted(ports)]
    folders = [
        train_job(folder / str(rank), **{"shard": {"rank": rank, "machines": machines}, **job})
        for rank in range(world)
    ]
    executor = LocalExecutor({"PATH": os.environ["PATH"]}, preload=())
    tasks = [ChildTask(ENTRY, one, network=True) for one in folders]
    ends = [threading.Thread(target=executor.run, args=[task, threading.Event()]) for task in tasks]
    [one.start() for one in ends]
    [one.join() for one in ends]
    executor.close()
    return folders


def area(folder, table):
    """The area under the ROC curve of a trained folder's model on some rows."""
    place = folder.parent / f"{folder.name}-scores"
    model = {"role": "challenger", "model": "model.txt", "contract": "contract.json"}
    write_job(place, table, models=[model])
    for name in ("model.txt", "contract.json"):
        (place / name).write_bytes((folder / "out" / name).read_bytes())
    score(place)
    found = pq.read_table(place / "scores.parquet")["challenger"].to_numpy()
    late, early = found[table["label"].to_numpy() > 0], found[table["label"].to_numpy() == 0]
    return (late[:, None] > early[None, :]).mean()


def reports_of(folders):
    return [ShardReport(**read_result(one)["shard"]) for one in folders]


def test_two_processes_train_the_model_that_one_would(tmp_path):
    folders = train_together(tmp_path, 2)
    alone = train_job(tmp_path / "alone")
    train(alone)
    reports = reports_of(folders)
    check_reports(reports, 2)
    assert [(one.rows, one.total) for one in reports] == [(1000, 2000)] * 2
    unseen = make_rows(seed=9)
    assert area(folders[0], unseen) == pytest.approx(area(alone, unseen), abs=0.01)
    model = (folders[0] / "out/model.txt").read_bytes()
    assert validate(model).num_trees == 20
    assert b"127.0.0.1" not in model, "where it was trained is nobody's business"
    assert "machines" not in read_result(folders[0])["params"]
    assert read_result(folders[0])["params"]["num_machines"] == 2
    assert model == (folders[1] / "out/model.txt").read_bytes()


@pytest.mark.nightly
def test_three_processes_with_categories_weights_and_samples(tmp_path):
    folders = train_together(tmp_path, 3, params={"bagging_fraction": 0.5, "bagging_freq": 1})
    check_reports(reports_of(folders), 3)
    assert sum(one.rows for one in reports_of(folders)) == 2000


def test_a_process_that_trains_on_its_part_alone_fails(tmp_path, monkeypatch):
    """What is guarded against: the network parameters do not arrive, and nobody says so."""
    monkeypatch.setattr(Shard, "network", {"tree_learner": "data"})
    machines = ["127.0.0.1:1", "127.0.0.1:2"]
    folder = train_job(tmp_path, shard={"rank": 1, "machines": machines})
    train(folder)
    result = read_result(folder)
    assert (result["outcome"], result["code"]) == ("failed", "shards_disagree")
    assert "worker 1 has a first tree of 1000 rows, the snapshot has 2000" in result["message"]


REPORTS = [ShardReport(rank, 3, 100, 300, "sha256:a") for rank in range(3)]


def test_reports_that_agree_pass():
    check_reports(REPORTS, 3)


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        (REPORTS[:2], r"3 were asked for, and ranks \[0, 1\] reported"),
        ([REPORTS[0], *REPORTS[:2]], r"ranks \[0, 0, 1\] reported"),
        ([replace(one, world=1) for one in REPORTS], r"some saw \[1\]"),
        ([replace(REPORTS[0], rows=50), *REPORTS[1:]], "together they saw 250 rows"),
        ([replace(REPORTS[0], total=299), *REPORTS[1:]], r"snapshots of \[299, 300\] rows"),
        ([replace(REPORTS[0], trees="sha256:b"), *REPORTS[1:]], "their trees differ"),
    ],
)
def test_reports_that_disagree_fail_the_run(reports, said):
    with pytest.raises(ShardsDisagreeError, match=said):
        check_reports(reports, 3)


def test_a_sampled_tree_is_not_counted():
    shard = Shard(0, ("a:1", "b:2"))
    model = b"Tree=0\ninternal_count=7 3\n\nparameters:\n[machines: a:1]\n"
    assert report_of(shard, 50, 100, model, {"bagging_fraction": 0.5}).rows == 50
    with pytest.raises(ShardsDisagreeError, match="first tree of 7 rows"):
        report_of(shard, 50, 100, model, {})


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_parts_are_disjoint_and_make_the_whole(total, world):
    machines = tuple(f"h:{rank}" for rank in range(world))
    parts = [range(total)[Shard(rank, machines).rows_of(total)] for rank in range(world)]
    assert [row for part in parts for row in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("job", "said"),
    [
        pytest.param(
            {"trainer": "sklearn", "estimator": "sklearn.linear_model.SGDClassifier"},
            "of sklearn",
            marks=pytest.mark.nightly,  # importing it takes seconds
        ),
        ({"shard": {"rank": 2, "machines": ["h:1", "h:2"]}}, "rank 2 of 2 machines"),
        ({"params": {"num_machines": 1}}, "num_machines"),
        ({"params": {"tree_learner": "serial"}}, "tree_learner"),
    ],
)
def test_what_cannot_be_shared_is_refused(tmp_path, job, said):
    folder = train_job(
        tmp_path, **{"shard": {"rank": 0, "machines": ["h:1", "h:2"]}, "params": {}, **job}
    )
    train(folder)
    assert said in read_result(folder)["message"]
