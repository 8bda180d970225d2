"""The trainer's child: lanes, the contract, determinism, refusals. Real LightGBM, real files."""

from __future__ import annotations

import json
import shutil

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.client.scoring.encoding import encode
from mlreg.client.scoring.lightgbm_text import validate
from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.steps.outages import Outages
from mlreg.controller.domain.steps.step import TrainingRows
from mlreg.controller.services.judging import judge
from mlreg.controller.trainers.child import score, train
from mlreg.registry.domain.contracts import FeatureContract
from tests.integration.training_folder import (
    SCHEMA,
    TARGET,
    check_refused,
    make_rows,
    read_result,
    train_job,
    write_job,
)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A folder in which a full training was done."""
    folder = train_job(tmp_path_factory.mktemp("parent"))
    train(folder)
    assert read_result(folder)["outcome"] == "trained"
    return folder


def stateful(folder, parent, *, table=None, contract=None, **changes):
    """Run a stateful lane on a parent, and return its result."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(parent / "out", folder / "parent")
    form = contract or json.loads((parent / "out" / "contract.json").read_text())
    job = {
        "parent": {"model": "parent/model.txt", "contract": "parent/contract.json"},
        "contract": form,
        "schema": None,
        **changes,
    }
    train_job(folder, make_rows(seed=3) if table is None else table, **job)
    train(folder)
    return read_result(folder)


def test_the_first_training_pins_categories_and_writes_its_files(parent):
    result = read_result(parent)
    contract = FeatureContract.from_json(json.loads((parent / "out/contract.json").read_text()))
    assert contract["carrier"].categories == ("AA", "B6", "DL", "UA")
    assert result["contract_digest"] == contract.digest
    assert result["prior"] == pytest.approx(result["positives"] / result["rows"])
    summary = validate((parent / "out/model.txt").read_bytes())
    assert summary.num_trees == result["trees"] == result["new_trees"] == 20
    assert summary.parameters["boost_from_average"] == "0"
    assert summary.parameters["deterministic"] == "1"
    assert {"seed", "bagging_seed", "data_random_seed", "run"} <= set(result["seeds"])
    bins = Bins.from_bytes((parent / "bins.bin").read_bytes())
    profile = Profile.from_bytes((parent / "profile.bin").read_bytes(), bins)
    assert profile.column("temp").rows == result["rows"] == 2000
    assert profile.column("wind").nulls > 100


def test_the_same_job_gives_the_same_bytes(parent, tmp_path):
    for lane in ("full", "continue", "refit"):
        first, second = (stateful(tmp_path / f"{lane}{n}", parent, lane=lane) for n in (1, 2))
        assert first["model_digest"] == second["model_digest"], lane
    other = stateful(
        tmp_path / "seed",
        parent,
        lane="full",
        seed=8,
        params={"bagging_fraction": 0.5, "bagging_freq": 1},
    )
    same = stateful(
        tmp_path / "seed7", parent, lane="full", params={"bagging_fraction": 0.5, "bagging_freq": 1}
    )
    assert other["model_digest"] != same["model_digest"]


def test_continue_keeps_the_parents_trees_and_adds_rounds_up_to_max_trees(parent, tmp_path):
    result = stateful(tmp_path / "a", parent, lane="continue", max_trees=30)
    assert (result["trees"], result["new_trees"]) == (30, 10)
    old = (parent / "out/model.txt").read_text()
    new = (tmp_path / "a/out/model.txt").read_text()
    first = old[old.index("Tree=0") : old.index("Tree=1")]
    assert first in new
    spent = stateful(tmp_path / "b", parent, lane="continue", max_trees=20)
    assert (spent["outcome"], spent["code"]) == ("failed", "tree_budget")


@pytest.mark.parametrize("learns", [True, False])
def test_a_full_retrain_learns_new_categories_and_a_rebuild_none(parent, tmp_path, learns):
    table = make_rows(seed=5)
    carriers = ["ZZ" if at < 300 else one for at, one in enumerate(table["carrier"].to_pylist())]
    at = table.column_names.index("carrier")
    (tmp_path / "a").mkdir()
    shutil.copy(parent / "bins.bin", tmp_path / "a/bins.bin")
    changes = {"schema": SCHEMA, "bins": "bins.bin", "learns_categories": learns}
    result = stateful(
        tmp_path / "a",
        parent,
        table=table.set_column(at, "carrier", pa.array(carriers)),
        **changes,
        lane="full",
    )
    known = ["AA", "B6", "DL", "UA"]
    assert result["contract"]["features"][3]["categories"] == known + ["ZZ"] * learns
    assert result["unseen"] == ({} if learns else {"carrier": 300})
    bins = Bins.from_bytes((tmp_path / "a/bins.bin").read_bytes())
    assert bins.fit(FeatureContract.from_json(result["contract"]))
    profile = Profile.from_bytes((tmp_path / "a/profile.bin").read_bytes(), bins)
    assert profile.column("carrier").unseen == (0 if learns else 300)


def test_continue_that_grows_no_tree_is_no_new_model(parent, tmp_path):
    result = stateful(tmp_path / "a", parent, lane="continue", table=make_rows(days=1, per_day=6))
    assert (result["outcome"], result["code"]) == ("failed", "no_tree_grown")
    assert "with these 6 rows" in result["message"]
    assert not (tmp_path / "a/out").exists()


def test_refit_keeps_the_trees_and_changes_the_leaves(parent, tmp_path):
    result = stateful(tmp_path / "a", parent, lane="refit", table=make_rows(seed=4, shift=1.0))
    assert (result["trees"], result["new_trees"]) == (20, 0)
    old = (parent / "out/model.txt").read_text()
    new = (tmp_path / "a/out/model.txt").read_text()
    for name in ("split_feature", "threshold"):
        assert field(old, name) == field(new, name)
    assert field(old, "leaf_value") != field(new, "leaf_value")


def test_refit_and_continue_learn_a_shift_of_the_world(parent, tmp_path):
    """More late flights everywhere: each stateful lane must come closer to it than its parent."""
    shifted, later = make_rows(days=20, seed=5, shift=1.5), make_rows(seed=6, shift=1.5)
    loss = {"parent": loss_on(parent, later)}
    for lane in ("refit", "continue"):
        stateful(tmp_path / lane, parent, lane=lane, table=shifted, decay_rate=0.1)
        loss[lane] = loss_on(tmp_path / lane, later)
    assert loss["refit"] < loss["parent"]
    assert loss["continue"] < loss["parent"]


def field(text, name):
    return [line for line in text.splitlines() if line.startswith(f"{name}=")]


def loss_on(folder, table):
    contract = json.loads((folder / "out/contract.json").read_text())
    booster = lightgbm.Booster(model_str=(folder / "out/model.txt").read_text())
    scores = booster.predict(encode(contract, table).matrix)
    labels = table["label"].to_numpy()
    return -np.mean(np.log(np.where(labels > 0, scores, 1 - scores)))


def reordered(contract):
    features = contract["features"]
    return {**contract, "features": [features[1], features[0], *features[2:]]}


def recategorised(contract):
    form = json.loads(json.dumps(contract))
    form["features"][3]["categories"] = ["UA", "AA", "B6", "DL"]
    return form


def retyped(contract):
    form = json.loads(json.dumps(contract))
    form["features"][2]["dtype"] = "float"
    return form


def renamed(contract):
    form = json.loads(json.dumps(contract))
    form["features"][1]["name"] = "gust"
    return form


@pytest.mark.parametrize("lane", ["continue", "refit"])
@pytest.mark.parametrize(
    ("change", "column"),
    [(reordered, "wind"), (recategorised, "carrier"), (retyped, "hour"), (renamed, "gust")],
)
def test_a_parent_of_another_contract_is_refused_by_column(parent, tmp_path, lane, change, column):
    contract = change(json.loads((parent / "out/contract.json").read_text()))
    table = make_rows(seed=3)
    table = table.append_column("gust", table["wind"])
    result = stateful(tmp_path / "a", parent, lane=lane, contract=contract, table=table)
    assert (result["outcome"], result["code"]) == ("failed", "parent_mismatch")
    assert repr(column) in result["message"]
    assert not (tmp_path / "a/out").exists()


@pytest.mark.parametrize(
    ("params", "named"),
    [({"objective": "huber"}, "objective"), ({"scale_pos_weight": 3.0}, "scale_pos_weight")],
)
def test_a_parent_of_another_objective_is_refused_by_parameter(parent, tmp_path, params, named):
    target = {"task": "regression"} if named == "objective" else TARGET
    result = stateful(tmp_path / "a", parent, lane="continue", params=params, target=target)
    assert (result["outcome"], result["code"]) == ("failed", "parent_mismatch")
    assert named in result["message"]


def test_a_parent_whose_file_was_changed_is_refused(parent, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(parent, broken)
    text = (broken / "out/model.txt").read_text()
    (broken / "out/model.txt").write_text(text.replace("left_child=1", "left_child=9", 1))
    result = stateful(tmp_path / "a", broken, lane="refit")
    assert (result["outcome"], result["code"]) == ("failed", "invalid_model_file")


def with_labels(change):
    table = make_rows()
    labels = change(table["label"].to_numpy().copy())
    return table.set_column(table.column_names.index("label"), "label", pa.array(labels))


REFUSED = {
    "NaN label": (with_labels(lambda y: np.where(np.arange(len(y)) == 5, np.nan, y)), {}, "NaN"),
    "label 2": (with_labels(lambda y: y * 2), {}, "0 or 1"),
    "one class": (with_labels(lambda y: y * 0), {}, "two classes"),
    "text label": (with_labels(lambda y: y.astype(str)), {}, "not numbers"),
    "no rows": (make_rows().slice(0, 0), {}, "none of them has a label"),
    "no labels": (
        make_rows().set_column(4, "label", pa.nulls(2000, pa.float64())),
        {},
        "none of them has a label",
    ),
    "missing column": (make_rows().drop_columns(["temp"]), {}, "'temp' is missing"),
    "wrong dtype": (
        make_rows().set_column(6, "temp", pa.array(["x"] * 2000)),
        {},
        "'temp' must be float",
    ),
    "unknown parameter": (make_rows(), {"params": {"num_leafs": 3}}, "'num_leafs' is not known"),
    "our parameter": (make_rows(), {"params": {"nthread": 3}}, "'nthread' is set by mlreg"),
    "twice": (make_rows(), {"params": {"eta": 0.1, "learning_rate": 0.2}}, "given twice"),
    "bad value": (make_rows(), {"params": {"num_leaves": -1}}, "training failed"),
    "objective": (make_rows(), {"params": {"objective": "l2"}}, "must be one of binary"),
    "task": (make_rows(), {"target": {"task": "ranking", "group_key": "q"}}, "no column 'q'"),
    "no parent": (make_rows(), {"lane": "refit"}, "needs one"),
    "trainer": (make_rows(), {"trainer": "forest"}, "no trainer 'forest'"),
    "outage feature": (
        make_rows(),
        {"outages": {"features": ["rain"], "share": 0.1}},
        "'rain'",
    ),
    "unknown key": (make_rows(), {"round": 3}, "round"),
    "path outside": (make_rows(), {"data": ["../rows.parquet"]}, "inside the job's folder"),
    "no contract": (make_rows(), {"schema": None}, "neither a contract nor a schema"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_in_one_line(tmp_path, name):
    table, changes, said = REFUSED[name]
    check_refused(train_job(tmp_path, table, **changes), said)


def test_an_unseen_category_where_the_contract_forbids_it(parent, tmp_path):
    contract = json.loads((parent / "out/contract.json").read_text())
    contract["features"][3] |= {"categories": ["AA", "B6", "DL"], "unseen": "error"}
    folder = train_job(tmp_path, contract=contract, schema=None)
    train(folder)
    assert "'carrier' holds a category" in read_result(folder)["message"]


def test_unlabelled_rows_are_left_out_and_counted(tmp_path):
    table = with_labels(lambda y: np.ma.masked_array(y, np.arange(len(y)) < 300))
    labels = pa.array([None] * 300 + table["label"].to_pylist()[300:], pa.float64())
    folder = train_job(tmp_path, table.set_column(4, "label", labels))
    train(folder)
    assert (read_result(folder)["unlabelled"], read_result(folder)["rows"]) == (300, 1700)


def test_outage_copies_stand_at_their_defaults_and_are_recorded(parent, tmp_path):
    folder = train_job(tmp_path, outages={"features": ["temp", "wind"], "share": 0.25})
    train(folder)
    result = read_result(folder)
    assert result["augmented"] | {"seed": 0} == {
        "rows": 500,
        "features": ["temp", "wind"],
        "share": 0.25,
        "seed": 0,
    }
    assert result["rows"] == 2000  # the copies are no rows of the snapshot
    assert result["model_digest"] != read_result(parent)["model_digest"]
    contract = FeatureContract.from_json(result["contract"])
    matrix = encode(contract.to_document(), make_rows()).matrix
    rows = TrainingRows(matrix, np.arange(2000.0))
    step = Outages(outages=("temp", "wind"), share=0.1)
    stepped, touched = step.apply(rows, contract, np.random.default_rng(1))
    copies, chosen = stepped.matrix[2000:], stepped.labels[2000:].astype(int)
    assert (copies[:, 0] == 0.0).all()  # the contract's default
    assert np.isnan(copies[:, 1]).all()  # none: missing
    np.testing.assert_array_equal(copies[:, 2:], matrix[chosen, 2:])
    assert len(set(chosen.tolist())) == touched == 200


def test_outage_copies_make_a_model_that_bears_the_outage(tmp_path):
    """With copies the loss on rows at their defaults is lower."""
    plain = train_job(tmp_path / "plain", make_rows(days=20))
    hardened = train_job(
        tmp_path / "hardened",
        make_rows(days=20),
        outages={"features": ["temp"], "share": 0.5},
    )
    for folder in (plain, hardened):
        train(folder)
    broken = make_rows(seed=8, shift=0.0)
    broken = broken.set_column(6, "temp", pa.array(np.full(2000, 0.0)))
    assert loss_on(hardened, broken) < loss_on(plain, broken) + 0.005


def scoring_folder(folder, parent, table, **job):
    for role in ("challenger", "champion"):
        shutil.copytree(parent / "out", folder / role)
    models = [
        {"role": role, "model": f"{role}/model.txt", "contract": f"{role}/contract.json"}
        for role in ("challenger", "champion")
    ]
    return write_job(folder, table, **{"models": models, **job})


def test_score_writes_the_scores_of_every_role_in_the_order_of_the_rows(parent, tmp_path):
    folder = scoring_folder(tmp_path / "a", parent, make_rows(seed=9))
    score(folder)
    assert read_result(folder)["outcome"] == "scored"
    scores = pq.read_table(folder / "scores.parquet")
    contract = json.loads((parent / "out/contract.json").read_text())
    booster = lightgbm.Booster(model_str=(parent / "out/model.txt").read_text())
    expected = booster.predict(encode(contract, make_rows(seed=9)).matrix)
    np.testing.assert_allclose(scores["champion"].to_numpy(), expected)
    assert scores.column_names == ["challenger", "champion"]


def test_score_without_rows_gives_no_scores(parent, tmp_path):
    folder = scoring_folder(tmp_path / "a", parent, make_rows().slice(0, 0))
    score(folder)
    assert read_result(folder)["rows"] == 0


GATES = [
    {"champion": "auc", "margin": 0.01},
    {"baseline": "prior", "metric": "log_loss"},
    {"slices": ["carrier"], "metric": "auc", "margin": 0.05, "min_rows": 100},
]


def judge_folder(folder, parent, challenger, table, **changes):
    shutil.copytree(challenger / "out", folder / "challenger")
    shutil.copytree(parent / "out", folder / "champion")
    models = [
        {
            "role": role,
            "model": f"{role}/model.txt",
            "contract": f"{role}/contract.json",
            "version": version,
            "train_end": "2013-01-11T00:00:00Z",
        }
        for version, role in ((2, "challenger"), (1, "champion"))
    ]
    job = {"models": models, "target": TARGET, "gates": GATES, "seed": 3, **changes}
    write_job(folder, table, **job)
    judge(folder)
    return read_result(folder)


def later_rows(**options):
    from datetime import timedelta

    from tests.integration.training_folder import START

    return make_rows(days=14, seed=20, start=START + timedelta(days=12), **options)


def test_judge_accepts_what_learnt_more_and_rejects_shuffled_labels(parent, tmp_path):
    better = train_job(tmp_path / "better", make_rows(days=40, per_day=400), rounds=60)
    worse_rows = with_labels(lambda y: np.random.default_rng(1).permutation(y))
    worse = train_job(tmp_path / "worse", worse_rows)
    for folder in (better, worse):
        train(folder)
    accepted = judge_folder(tmp_path / "a", parent, better, later_rows())
    assert accepted["judgement"]["verdict"] == "accepted", accepted["judgement"]["reason"]
    assert accepted["judgement"]["superior"]
    assert accepted["judgement"]["versions"] == {"challenger": 2, "champion": 1}
    rejected = judge_folder(tmp_path / "b", parent, worse, later_rows())
    assert rejected["judgement"]["verdict"] == "rejected"


def test_judge_holds_without_labels_and_refuses_trained_rows(parent, tmp_path):
    table = later_rows()
    unlabelled = table.set_column(4, "label", pa.nulls(len(table), pa.float64()))
    held = judge_folder(tmp_path / "a", parent, parent, unlabelled)
    assert held["judgement"]["verdict"] == "inconclusive"
    seen = judge_folder(tmp_path / "b", parent, parent, make_rows())
    assert (seen["outcome"], seen["code"]) == ("failed", "trained_on_evaluation")


def test_the_schema_of_the_model_must_fit_the_contract(parent, tmp_path):
    contract = json.loads((parent / "out/contract.json").read_text())
    schema = [*SCHEMA[1:], SCHEMA[0]]
    folder = train_job(tmp_path, contract=contract, schema=schema)
    train(folder)
    assert read_result(folder)["code"] == "contract_mismatch"


def ranked_rows(seed=0):
    """Each of 200 queries has 10 rows, in no order; the grade follows from temp."""
    table = make_rows(seed=seed)
    grades = np.digitize(table["temp"].to_numpy(), [-1.0, 0.0, 1.0]).astype(float)
    queries = np.random.default_rng(seed).permutation(np.repeat(np.arange(200), 10))
    table = table.set_column(table.column_names.index("label"), "label", pa.array(grades))
    return table.append_column("entity", pa.array([f"q{one}" for one in queries]))


@pytest.mark.parametrize("objective", ["lambdarank", "rank_xendcg"])
def test_a_ranking_is_learnt_within_its_groups(tmp_path, objective):
    target = {"task": "ranking", "group_key": "query"}
    folder = train_job(
        tmp_path,
        ranked_rows(),
        target=target,
        params={"objective": objective, "min_data_in_leaf": 20},
        stage={"holdout": "holdout.parquet"},
    )
    pq.write_table(ranked_rows(seed=5), folder / "holdout.parquet")
    train(folder)
    result = read_result(folder)
    assert result["outcome"] == "trained", result
    assert result["holdout"]["metrics"]["ndcg"] > 0.95
    unordered = stateful(tmp_path / "refit", folder, lane="refit", target=target,
                         table=ranked_rows(3), params={"objective": objective})  # fmt: skip
    assert unordered["outcome"] == "trained", unordered


def test_classes_that_are_learnt_each_against_all_add_up_to_anything(tmp_path):
    table = make_rows(days=4)
    labels = pa.array(np.digitize(table["temp"].to_numpy(), [-1.0, 1.0]).astype(float))
    target = {"task": "multiclass", "classes": ["low", "middle", "high"]}
    params = {"objective": "multiclassova", "min_data_in_leaf": 20}
    table = table.set_column(table.column_names.index("label"), "label", labels)
    folder = train_job(tmp_path, table, target=target, params=params, rounds=3)
    train(folder)
    assert read_result(folder)["outcome"] == "trained", read_result(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["entity"]), "no column 'query', the group key"),
        (lambda table: with_column(table, "entity", [None] * 2000), "2000 rows have no 'entity'"),
        (lambda table: with_column(table, "label", [0.5] * 2000), "a whole grade of 0 to 30"),
    ],
)
def test_a_ranking_needs_groups_and_grades(tmp_path, change, said):
    target = {"task": "ranking", "group_key": "query"}
    folder = train_job(tmp_path, change(ranked_rows()), target=target, params={})
    train(folder)
    assert said in read_result(folder)["message"]


def with_column(table, name, values):
    kind = table.schema.field(name).type
    return table.set_column(table.column_names.index(name), name, pa.array(values, kind))


def test_a_search_whose_newest_rows_tell_nothing_says_so(tmp_path):
    table = make_rows()
    labels = table["label"].to_numpy().copy()
    labels[1400:] = 0.0
    at = table.column_names.index("label")
    rule = {"trials": 1, "seconds": 60, "share": 0.25, "metric": "auc"}
    rule["params"] = {"num_leaves": [3, 5]}
    folder = train_job(tmp_path, table.set_column(at, "label", pa.array(labels)), search=rule)
    train(folder)
    said = read_result(folder)["message"]
    assert "no trial went well: auc is not defined on the newest rows" in said


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"monotone_constraints": [1, 0]}, "has 2 values for 4 features"),
        ({"mc": "0,0,0,1"}, "must be 0 for the category 'carrier'"),
        ({"interaction_constraints": "[0,1"}, "parameters: Expecting"),
        ({"num_leaves": 1}, "training failed: Check failed: (num_leaves) > (1)"),
    ],
)
def test_parameters_at_which_lightgbm_would_fall_are_refused(tmp_path, params, said):
    folder = train_job(tmp_path, make_rows(days=1), params=params, rounds=2)
    train(folder)
    result = read_result(folder)
    assert result["outcome"] == "failed"
    assert said in result["message"]
    assert ".cpp" not in result["message"]


def scores_of(folder, table):
    """Score rows with the model in `challenger`."""
    model = {"model": "challenger/model.txt", "contract": "challenger/contract.json"}
    write_job(folder, table, models=[{"role": "challenger", **model}])
    score(folder)
    return pq.read_table(folder / "scores.parquet")["challenger"].to_pylist()


def test_steps_touch_training_rows_only_and_say_what_they_did(parent, tmp_path):
    steps = [
        {"noise": ["temp"], "sigma": 0.3},
        {"upsample": 2, "where": {"carrier": "UA"}},
        {"class_weights": "balanced"},
        {"hashed": ["carrier"], "buckets": 8},
    ]
    folder = train_job(tmp_path, steps=steps, stage={"holdout": "holdout.parquet"})
    pq.write_table(make_rows(seed=5), folder / "holdout.parquet")
    train(folder)
    result = read_result(folder)
    assert result["outcome"] == "trained", result
    assert [step["touched"] > 0 for step in result["steps"]] == [True] * 4
    assert result["rows"] == 2000, "copies are no rows of the snapshot"
    assert result["holdout"]["rows"] == 2000
    bins = Bins.from_bytes((folder / "bins.bin").read_bytes())
    profiles = [
        Profile.from_bytes((one / "profile.bin").read_bytes(), bins) for one in (folder, parent)
    ]
    assert profiles[0].column("temp").counts.tolist() == profiles[1].column("temp").counts.tolist()
    kept = pq.read_table(folder / "stage" / "holdout.parquet")
    assert kept["label"].to_pylist() == make_rows(seed=5)["label"].to_pylist()
    shutil.copytree(folder / "out", tmp_path / "b/challenger")
    of_untouched_rows = scores_of(tmp_path / "b", make_rows(seed=5))
    assert kept["score"].to_pylist() == of_untouched_rows, "steps are for training rows alone"
    carrier = result["contract"]["features"][3]
    assert (carrier["unseen"], carrier["buckets"]) == ("hash", 8)
    refused = stateful(tmp_path / "a", parent, lane="continue", steps=steps[3:])
    assert refused["code"] == "parent_mismatch"
    assert "0 buckets for unseen values, not 8" in refused["message"]
