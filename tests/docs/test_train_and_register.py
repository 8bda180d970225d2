"""Every command of the page on training, on a real `mlreg up`, in a repository of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.test_readme import ROOT, blocks, commands

PAGE = (ROOT / "docs" / "how-to" / "train-and-register.md").read_text()
COMMIT = "git init -q && git add . && git -c user.name=a -c user.email=a@b commit -q -m x"


def shell(mlreg, folder, command):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**mlreg.environ, "MLREG_URL": mlreg.url, "PATH": path}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_of_the_page(mlreg, tmp_path):
    folder = tmp_path / "train-and-register"
    shutil.copytree(ROOT / "examples" / "train-and-register", folder)
    assert shell(mlreg, folder, COMMIT).returncode == 0
    (change, *wanted) = commands(PAGE)
    assert change == "cd examples/train-and-register"
    said = {}
    for command in wanted:
        done = shell(mlreg, folder, command)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        said[command] = done.stdout
    assert "registered fraud/1" in said["python train.py"]
    shown = said["mlreg version show fraud/1"]
    for text in (
        "train auc",
        "holdout auc",
        "search search.csv: 3 trials",
        "rows (file, 4000 rows)",
    ):
        assert text in shown
    assert "predictions.csv" in said["ls fraud-1-stage"]
    card = said["mlreg card fraud/1"]
    assert "a person decides above 0.9" in card
    assert "Trained on three countries" in card


def test_the_block_that_is_shown_names_what_there_is():
    from mlreg.client.training.context import Training

    (block,) = blocks(PAGE, "python")
    for line in block.splitlines():
        for word in line.split("t.")[1:]:
            name = word.partition("(")[0].partition(".")[0]
            assert hasattr(Training, name) or name in {"training", "train"}, name
