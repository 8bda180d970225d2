"""Trainers in children that may write in few places: those that need more of them have them."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from mlreg.controller.confinement import find_confinement
from mlreg.controller.domain.commands import TrainerCommand
from mlreg.controller.executors.executor import ChildTask
from mlreg.controller.executors.local import LocalExecutor
from mlreg.controller.services.trainer_commands import seal, writes_of
from tests.integration.test_wild_commands import ENTRY, WILD
from tests.integration.training_folder import make_rows, read_result, train_job

PERMITTED = find_confinement()
FOREST = {
    "trainer": "sklearn",
    "estimator": "sklearn.ensemble.RandomForestClassifier",
    "params": {"n_estimators": 4, "max_depth": 3},
}


@pytest.fixture(scope="module")
def trained():
    executor = LocalExecutor({"PATH": os.environ["PATH"]}, ("mlreg.controller.trainers.child",))

    def trained(folder, rows, **job):
        train_job(folder, rows, **job)
        lines = []
        task = ChildTask(ENTRY, folder, on_lines=lines.extend, writes=writes_of(job))
        assert executor.run(task, threading.Event()).succeeded, lines
        return read_result(folder)

    yield trained
    executor.close()


def test_a_forest_of_scikit_learn_grows_in_several_threads(trained, tmp_path):
    """joblib locks the threads of its pools with semaphores, which Linux keeps as files."""
    result = trained(tmp_path / "job", make_rows(days=1), threads=2, **FOREST)
    assert result["outcome"] == "trained", result


@pytest.mark.skipif(not PERMITTED.writes, reason="no Landlock here")
@pytest.mark.parametrize("declared", [False, True])
def test_a_command_writes_in_the_folders_that_its_operator_declared(trained, tmp_path, declared):
    shared = tmp_path / "shared"
    shared.mkdir()
    words = (sys.executable, "-I", "-S", str(WILD))
    folders = (str(shared),) if declared else ()
    command = seal("wild", TrainerCommand(train=words, predict=words, writes=folders))
    job = {
        "trainer": "command",
        "command": command.model_dump(mode="json"),
        "params": {"wild": "write_outside", "place": str(shared / "kept")},
    }
    said = trained(tmp_path / "job", make_rows(days=1), **job)["message"]
    assert ("nothing to predict with" in said) == declared, said
    assert (shared / "kept").exists() == declared
