"""What every trainer promises, on each of ours: the same folders, the same questions."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.controller.domain.commands import TrainerCommand
from mlreg.controller.domain.trainer_kinds import model_file_of
from mlreg.controller.services.trainer_commands import seal
from mlreg.controller.trainers.child import score, train
from tests.integration.training_folder import make_rows, read_result, train_job, write_job

LINEAR = Path(__file__).parents[1] / "commands" / "linear.py"


def linear_command():
    words = (sys.executable, str(LINEAR))
    command = TrainerCommand(
        train=words, predict=words, lanes=("full", "continue"), lock=str(LINEAR)
    )
    return seal("linear", command).model_dump(mode="json")


KINDS = {
    "lightgbm": {"params": {"num_leaves": 7, "min_data_in_leaf": 20}, "rounds": 20},
    "sklearn": {
        "estimator": "sklearn.linear_model.SGDClassifier",
        "params": {"loss": "log_loss", "alpha": 0.001},
    },
    "command": {"params": {"rate": 4.0}, "rounds": 100},
}


def job_of(kind, **changes):
    own = {"trainer": kind, **KINDS[kind]}
    if kind == "command":
        own["command"] = linear_command()
    return {**own, **changes}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def trained(kind, tmp_path_factory):
    """A folder in which a full training was done."""
    folder = train_job(tmp_path_factory.mktemp(kind), **job_of(kind))
    train(folder)
    assert read_result(folder)["outcome"] == "trained", read_result(folder)
    return folder


def files(kind, role):
    command = linear_command() if kind == "command" else None
    return {
        "model": f"{role}/{model_file_of(kind)}",
        "contract": f"{role}/contract.json",
        "trainer": kind,
        "command": command,
    }


def scores_of(kind, trained, folder, table):
    folder.mkdir(parents=True)
    shutil.copytree(trained / "out", folder / "challenger")
    write_job(folder, table, models=[{"role": "challenger", **files(kind, "challenger")}])
    score(folder)
    assert read_result(folder)["outcome"] == "scored", read_result(folder)
    return pq.read_table(folder / "scores.parquet")["challenger"].to_numpy(zero_copy_only=False)


def continued(kind, trained, folder, contract, **changes):
    folder.mkdir(parents=True)
    shutil.copytree(trained / "out", folder / "parent")
    parent = files(kind, "parent")
    job = {"lane": "continue", "parent": parent, "contract": contract, "schema": None, **changes}
    train_job(folder, make_rows(seed=3), **job_of(kind, **job))
    train(folder)
    return read_result(folder)


def test_a_full_training_leaves_a_model_its_contract_and_its_record(kind, trained):
    result = read_result(trained)
    assert result["trainer"].startswith(f"{kind}/")
    assert (trained / "out" / model_file_of(kind)).exists()
    contract = json.loads((trained / "out/contract.json").read_text())
    assert contract == result["contract"]
    assert contract["features"][3]["categories"] == ["AA", "B6", "DL", "UA"]
    assert {"profile.bin", "bins.bin"} <= {path.name for path in trained.iterdir()}
    assert set(KINDS[kind]["params"]) <= set(result["params"])
    assert result["seeds"]["run"] == 7


def test_the_same_job_gives_the_same_bytes(kind, trained, tmp_path):
    folder = train_job(tmp_path, **job_of(kind))
    train(folder)
    assert read_result(folder)["model_digest"] == read_result(trained)["model_digest"]


def test_scores_are_probabilities_that_know_something(kind, trained, tmp_path):
    table = make_rows(seed=9)
    columns = np.random.default_rng(0).permutation(table.column_names).tolist()
    odd = table.set_column(
        table.column_names.index("carrier"), "carrier", pa.array(["??"] + ["AA"] * 1999)
    )
    found = scores_of(kind, trained, tmp_path / "a", table)
    assert found.shape == (2000,)
    assert ((found >= 0) & (found <= 1)).all()
    late, early = found[table["label"].to_numpy() > 0], found[table["label"].to_numpy() == 0]
    assert (late[:, None] > early[None, :]).mean() > 0.7  # the area under the curve
    everything = pa.concat_tables([table, odd]).select(columns)  # in another order of columns
    again = scores_of(kind, trained, tmp_path / "b", everything)
    np.testing.assert_allclose(again[:2000], found)
    assert np.isfinite(again).all(), "an unseen category is missing, not an error"


def test_continue_goes_on_from_its_parent(kind, trained, tmp_path):
    contract = json.loads((trained / "out/contract.json").read_text())
    result = continued(kind, trained, tmp_path / "a", contract, rounds=5, max_trees=400)
    assert result["outcome"] == "trained", result
    assert result["model_digest"] != read_result(trained)["model_digest"]


def test_another_contract_than_the_parents_is_refused_by_column(kind, trained, tmp_path):
    contract = json.loads((trained / "out/contract.json").read_text())
    contract["features"][3]["categories"] = ["UA", "AA", "B6", "DL"]
    result = continued(kind, trained, tmp_path / "a", contract)
    assert (result["outcome"], result["code"]) == ("failed", "parent_mismatch")
    assert "'carrier'" in result["message"]
    assert not (tmp_path / "a/out").exists()


def test_a_parameter_that_is_no_longer_named_is_another_model(kind, trained, tmp_path):
    if kind != "sklearn":
        pytest.skip("what makes its models is checked by its own tests")
    contract = json.loads((trained / "out/contract.json").read_text())
    result = continued(kind, trained, tmp_path / "a", contract, params={"loss": "log_loss"})
    assert (result["outcome"], result["code"]) == ("failed", "parent_mismatch")
    assert "alpha: the parent has 0.001, asked for is 0.0001" in result["message"]


def test_what_a_trainer_cannot_do_is_refused_before_it_is_done(kind, tmp_path):
    if kind == "lightgbm":
        pytest.skip("it can refit")
    result = refused(tmp_path, kind, lane="refit")
    assert result["code"] == "lane_not_of_trainer"


def refused(folder, kind, table=None, **changes):
    train_job(folder, table, **job_of(kind, **changes))
    train(folder)
    result = read_result(folder)
    assert result["outcome"] == "failed", result
    assert not (folder / "out").exists()
    assert "\n" not in result["message"]
    return result


def test_an_estimator_that_is_made_of_others_is_refused_and_crashes_nothing(tmp_path):
    kinds = {"estimator": "sklearn.ensemble.VotingClassifier", "params": {}}
    result = refused(tmp_path, "sklearn", make_rows(days=1), **kinds)
    assert "is made of other estimators" in result["message"]


def test_labels_of_no_class_are_refused(kind, tmp_path):
    table = make_rows()
    labels = pa.array(np.full(len(table), 2.0))
    table = table.set_column(table.column_names.index("label"), "label", labels)
    assert "0 or 1" in refused(tmp_path, kind, table)["message"]


def three_classes():
    table = make_rows()
    temp = table["temp"].to_numpy()
    labels = np.digitize(temp, [-0.5, 0.5]).astype(float)
    return table.set_column(table.column_names.index("label"), "label", pa.array(labels))


def test_several_classes_have_a_score_each(kind, tmp_path):
    target = {"task": "multiclass", "classes": ["low", "middle", "high"]}
    folder = train_job(tmp_path / "train", three_classes(), **job_of(kind, target=target))
    train(folder)
    assert read_result(folder)["outcome"] == "trained", read_result(folder)
    found = np.stack(scores_of(kind, folder, tmp_path / "score", three_classes()))
    assert found.shape == (2000, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (found.argmax(axis=1) == three_classes()["label"].to_numpy()).mean() > 0.8


def test_a_class_that_the_parent_has_not_seen_makes_another_model(kind, tmp_path):
    if kind != "sklearn":
        pytest.skip("it takes any class that the target declares")
    table = make_rows(days=1)
    at = table.column_names.index("label")
    seen, all_three = (np.arange(200.0) % classes for classes in (2, 3))
    job = {"target": {"task": "multiclass", "classes": ["a", "b", "c"]}}
    folder = train_job(
        tmp_path / "a", table.set_column(at, "label", pa.array(seen)), **job_of(kind, **job)
    )
    train(folder)
    contract = read_result(folder)["contract"]
    (tmp_path / "b").mkdir()
    shutil.copytree(folder / "out", tmp_path / "b/parent")
    job |= {"lane": "continue", "contract": contract, "parent": files(kind, "parent")}
    newer = table.set_column(at, "label", pa.array(all_three))
    result = refused(tmp_path / "b", kind, newer, **job, schema=None)
    assert result["code"] == "parent_mismatch"
