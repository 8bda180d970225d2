"""`mlreg model` and `mlreg version` as a user types them, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MLREG = str(Path(sys.executable).with_name("mlreg"))
FEATURES = """
features:
  - {name: distance, dtype: float}
  - {name: carrier, dtype: category, categories: [AA, UA], unseen: error}
"""
ALL = "git,data,contract,hyperparameters,seeds,environment,trainer,lane"

WRONG = [
    (["model", "show", "trains"], 3, "no model 'trains'"),
    (["model", "show", "Flights"], 2, "not a valid model name"),
    (["model", "create", "flights", "--task", "binary"], 1, "exists already"),
    (["model", "create", "Flights", "--task", "binary"], 2, "not a valid model name"),
    (["model", "create", "m", "--task", "guess"], 2, "task must be one of"),
    (["model", "create", "m", "--task", "binary", "--max-label-delay", "soon"], 2, "duration"),
    (["model", "create", "m", "--task", "binary", "--features", "none.yaml"], 3, "none.yaml"),
    (["version", "register", "flights", "gone"], 3, "gone"),
    (["version", "register", "trains", "there"], 3, "no model 'trains'"),
    (["version", "register", "flights", "empty"], 2, "no file to register"),
    (["version", "register", "flights", "there", "--params", "gone.json"], 3, "gone.json"),
    (["version", "register", "flights", "there", "--metric", "auc=high"], 2, "finite number"),
    (["version", "register", "flights", "there", "--seed", "x=y"], 2, "seeds.x"),
    (["version", "register", "flights", "there", "--lane", "fast"], 2, "lane"),
    (["version", "register", "flights", "there", "--data", "gone.csv"], 3, "gone.csv"),
    (["version", "register", "flights", "there", "--allow-missing", "x"], 2, "'x' is no field"),
    (["version", "show", "flights/9"], 3, "no version 9"),
    (["version", "show", "flights"], 2, "names no version"),
    (["version", "show", "flights@champion"], 3, "no champion"),
    (["version", "show", "flights@champion:moon"], 3, "no environment 'moon'"),
    (["version", "download", "flights/9"], 3, "no version 9"),
]


@pytest.fixture
def run(api, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLREG_URL": api.url,
        "MLREG_TOKEN": api.token,
    }

    def run(*arguments, stdin=None, **more):
        return subprocess.run(
            [MLREG, *map(str, arguments)],
            check=False,
            cwd=work,
            env={**environment, **more},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    run.folder = work
    return run


@pytest.fixture
def model(run):
    command = ["model", "create", "flights", "--task", "binary", "--features", "-"]
    done = run(*command, "--max-label-delay", "2d", stdin=FEATURES)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("model")
def test_a_version_by_hand_from_a_working_tree(run):
    folder = run.folder
    (folder / "features.yaml").write_text(FEATURES)
    (folder / "train.csv").write_text("a,b\n1,2\n")
    (folder / "model.bin").write_bytes(b"weights")
    for command in (
        ["init", "-q"],
        ["add", "features.yaml"],
        ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "x"],
        ["remote", "add", "origin", "https://anna:secret@example.org/flights.git"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    done = run(
        "version", "register", "flights", "model.bin", "--contract", "features.yaml",
        "--data", "train.csv", "--data", "sha256:" + "1" * 64, "--params", "num_leaves=31",
        "--params", "objective=binary", "--seed", "7", "--seed", "numpy=3", "--metric", "auc=0.71",
        "--trainer", "by-hand", "--lane", "full", "--tag", "team=ops", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "uncommitted changes" in done.stderr
    shown = json.loads(run("version", "show", "flights/1", "--json").stdout)
    assert shown["git"]["dirty"] is True
    assert shown["git"]["remote"] == "https://example.org/flights.git"
    assert len(shown["snapshots"]) == 2
    assert shown["hyperparameters"] == {"num_leaves": 31, "objective": "binary"}
    assert shown["seeds"] == {"seed": 7, "numpy": 3}
    assert shown["environment"]["packages"]["pydantic"]
    assert (shown["metrics"], shown["missing"]) == ({"auc": 0.71}, [])
    assert [feature["name"] for feature in shown["contract"]] == ["distance", "carrier"]
    done = run("version", "download", "flights/1", "out")
    assert (folder / "out" / "model.bin").read_bytes() == b"weights", done.stderr
    assert "all as registered" in run("version", "verify", "flights/1").stdout
    assert "by-hand" in run("version", "list", "flights").stdout
    text = run("version", "show", "flights/1").stdout
    assert "(dirty)" in text
    assert "secret" not in text


@pytest.mark.usefixtures("model")
def test_what_lacks_is_refused_in_one_line_and_allowed_by_name(run):
    (run.folder / "model.pkl").write_bytes(b"\x80\x04.")
    bare = ["version", "register", "flights", "model.pkl"]
    done = run(*bare)
    assert done.returncode == 2
    assert "lacks git, data, contract" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run(*bare, "--allow-missing", ALL)
    assert done.returncode == 0
    assert "registered without git" in done.stderr
    assert "a pickle" in done.stderr
    assert "UNSAFE" in run("version", "show", "flights/1").stdout
    assert "missing     git, data" in run("version", "show", "flights/1").stdout


@pytest.mark.usefixtures("model")
def test_what_goes_wrong_is_one_line_and_its_exit_code(run):
    (run.folder / "there").write_bytes(b"x")
    (run.folder / "empty").mkdir()
    for arguments, code, words in WRONG:
        done = run(*arguments)
        assert words in done.stderr, arguments
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert done.stdout == ""


@pytest.mark.usefixtures("model")
def test_models_are_listed_shown_and_archived(run):
    assert "flights" in run("model", "list").stdout
    assert "carrier: category, 2 categories" in run("model", "show", "flights").stdout
    shown = json.loads(run("model", "show", "flights", "--json").stdout)
    assert shown["target"]["max_label_delay_seconds"] == 172_800
    assert run("model", "archive", "flights", "--reason", "done").returncode == 0
    assert json.loads(run("model", "list", "--json").stdout)["items"] == []
    assert "ARCHIVED" in run("model", "show", "flights").stdout


def test_a_server_that_is_not_there_is_exit_5(run):
    done = run("model", "list", MLREG_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)


def test_the_stage_is_registered_shown_and_downloaded(run, tmp_path):
    work = tmp_path / "work"
    (work / "model.bin").write_bytes(b"weights")
    (work / "train.py").write_text("print(1)\n")
    points = "".join(f"{step},{0.5 + step / 100}\n" for step in range(40))
    (work / "curves.csv").write_text("step,valid auc\n" + points)
    header = ["trial", *(f"a_long_parameter_name_{number}" for number in range(9))]
    rows = [[trial, *["0.123456"] * 9] for trial in range(25)]
    lines = [",".join(map(str, row)) for row in (header, *rows)]
    (work / "search.csv").write_text("\n".join(lines))
    run("model", "create", "flights", "--task", "binary")
    done = run(
        *("version", "register", "flights", "model.bin", "--allow-missing", ALL),
        *("--stage", "train.py", "--stage", "curves.csv:loss_curve"),
        *("--stage", "search.csv:search_table"),
    )
    assert done.returncode == 0, done.stderr
    shown = run("version", "show", "flights/1")
    assert "▁" in shown.stdout
    assert "0.5 → 0.89" in shown.stdout
    assert "search search.csv: 25 trials" in shown.stdout
    assert "stage       train.py  code  9 bytes" in shown.stdout
    table = shown.stdout.partition("search.csv: 25 trials")[2].splitlines()
    assert max(map(len, table)) <= 80
    document = json.loads(run("version", "show", "flights/1", "--json").stdout)
    assert document["curves"][0]["name"] == "valid auc"
    assert [file["kind"] for file in document["stage"]] == ["loss_curve", "search_table", "code"]
    assert run("version", "download", "flights/1", "--stage").returncode == 0
    assert (work / "flights-1-stage" / "train.py").read_text() == "print(1)\n"
    refused = run("version", "register", "flights", "model.bin", "--stage", "train.py:poem")
    assert refused.returncode == 2
    assert "no kind of file" in refused.stderr
    run("version", "register", "flights", "model.bin", "--allow-missing", ALL)
    missing = run("version", "download", "flights/2", "--stage")
    assert (missing.returncode, "has no stage" in missing.stderr) == (3, True)
