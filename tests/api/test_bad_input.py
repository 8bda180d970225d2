"""What a hasty hand gives the command line: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mlreg.cli.session import explain
from mlreg.client.errors import InvalidError
from tests.faults.workers import PATIENCE_SECONDS


@pytest.fixture
def command(api, tmp_path):
    """The words and the environment of `mlreg` against a real server, in a folder of its own."""
    clean = {name: value for name, value in os.environ.items() if "MLREG" not in name}
    known = {"MLREG_CONFIG_DIR": str(tmp_path / "config"), "MLREG_URL": api.url}
    return {
        "args": [sys.executable, "-m", "mlreg.cli"],
        "env": {**clean, **known, "MLREG_TOKEN": api.token},
        "cwd": tmp_path,
    }


@pytest.fixture
def mlreg(command):
    def run(*words):
        given = {**command, "args": [*command["args"], *words]}
        return subprocess.run(
            **given, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )

    return run


def line_of(done, code):
    text = done.stderr.decode()
    assert done.returncode == code, done
    assert text.count("\n") == 1, text
    assert all(char.isprintable() for char in text[:-1])
    return text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "mlreg --help"),
        (["promote", "flights"], "mlreg promote --help"),
        (["status", "--nope"], "--nope"),
        (["run", "list", "--state", "odd"], "'odd' is not one of"),
        (["model", "show", ""], "a name is empty"),
        (["environment", "create", "Staging"], "name: "),
        (["log", "labels", "flights", "."], "mlreg: .: rows are not read"),
        (["model", "create", "x", "--task", "binary", "--features", "empty.yaml"], "no list"),
        (
            ["model", "create", "x", "--task", "binary", "--features", "odd.yaml"],
            "odd.yaml, line 2",
        ),
        (["model", "create", "x", "--task", "binary", "--features", "."], "Is a directory"),
        (["log", "labels", "flights", "empty.csv"], "empty.csv is empty"),
        (["log", "labels", "flights", "rows.csv", "--batch-id", ""], "--batch-id is empty"),
        (["version", "register", "flights", "empty.csv"], "empty.csv is empty"),
        (["version", "register", "flights", b"n\xff.txt"], "not UTF-8"),
        (["version", "register", "flights", "rows.csv", "--code", "nowhere"], "no folder"),
    ],
)
def test_wrong_words_and_files_are_one_line_and_exit_2(mlreg, tmp_path, words, said):
    for name in ("empty.csv", "empty.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "odd.yaml").write_text("a: 1\nb: [")
    (tmp_path / "rows.csv").write_text("prediction_id,time,label\n")
    (tmp_path / os.fsdecode(b"n\xff.txt")).write_text("x")
    assert said in line_of(mlreg(*words), 2)
    assert json.loads(mlreg("model", "list", "--json").stdout)["items"] == []


@pytest.mark.parametrize("words", [["nonsense"], ["promote", "x"], ["model", "show", "nosuch"]])
def test_with_json_an_error_is_a_document_too(mlreg, words):
    done = mlreg(*words, "--json")
    said = json.loads(done.stderr)
    assert done.stdout == b""
    assert said["exit"] == done.returncode
    assert said["code"] in {"usage", "model_not_found"}
    assert said["detail"]
    assert said["hint"]


def test_what_a_file_says_cannot_write_on_the_terminal(capsys):
    assert explain(InvalidError("row 1:\n\x1b[31m\0red\udcff")) == 2
    assert capsys.readouterr().err == "mlreg: row 1: \ufffd[31m\ufffdred\ufffd.\n"


def test_a_download_that_is_ended_leaves_nothing_behind(mlreg, command, tmp_path):
    assert mlreg("model", "create", "flights", "--task", "binary").returncode == 0
    (tmp_path / "big.bin").write_bytes(bytes(200_000_000))
    lacks = "git,data,contract,hyperparameters,seeds,trainer,lane"
    done = mlreg("version", "register", "flights", "big.bin", "--allow-missing", lacks)
    assert done.returncode == 0, done
    words = [*command["args"], "version", "download", "flights/1", "there"]
    child = subprocess.Popen(**{**command, "args": words})
    end = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.glob(".mlreg-*")) and time.monotonic() < end:
        time.sleep(0.002)
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE_SECONDS) in {0, 143}
    assert list(tmp_path.glob(".mlreg-*")) == []
