"""Trainer commands that misbehave, in real children with small limits: each is said, none gets out.

What a program does is in tests/commands/wild.py.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlreg.controller.confinement import find_confinement
from mlreg.controller.domain.commands import TrainerCommand
from mlreg.controller.executors.executor import MEBIBYTE, ChildTask, Limits, failure_line
from mlreg.controller.executors.local import LocalExecutor
from mlreg.controller.services.trainer_commands import seal
from tests.faults.workers import PATIENCE_SECONDS
from tests.integration.training_folder import make_rows, read_result, train_job

WILD = Path(__file__).parents[1] / "commands" / "wild.py"
ENTRY = "mlreg.controller.trainers.child:train"
PERMITTED = find_confinement()


@pytest.fixture(scope="module")
def executor():
    executor = LocalExecutor(
        {"PATH": os.environ["PATH"]}, ("numpy", "mlreg.controller.trainers.child")
    )
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def rows():
    return make_rows(days=1)


@pytest.fixture
def run(executor, rows, tmp_path):
    def run(wild, network=False, limits=None, **params):
        words = (sys.executable, "-I", "-S", str(WILD))
        command = TrainerCommand(train=words, predict=words, network=network)
        sealed = seal("wild", command).model_dump(mode="json")
        job = {"trainer": "command", "command": sealed, "params": {"wild": wild, **params}}
        folder = train_job(tmp_path / "job", rows, **job)
        lines = []
        task = ChildTask(ENTRY, folder, Limits(**(limits or {})), lines.extend, network=network)
        result = executor.run(task, threading.Event())
        if result.succeeded:
            answer = read_result(folder)
            assert not (folder / "out").exists()
            return answer["outcome"], answer["message"], lines
        return result.killed_because, failure_line(task, result), lines

    return run


def test_one_that_hangs_is_killed_after_its_wall_time(run):
    because, said, _ = run("hang", limits={"wall_seconds": 1.0})
    assert because == "wall_time"
    assert "wall time of 1 seconds" in said


def test_one_that_leaks_meets_its_limit(run):
    """The kernel's of one process, or ours of all of them together: whichever is first."""
    outcome, said, lines = run("leak", limits={"address_space_bytes": 1024 * MEBIBYTE})
    if outcome == "memory":
        assert "1,024 MiB" in said
        return
    assert outcome == "failed"
    assert "command/wild ended with exit code 1: MemoryError" in said
    assert any("MemoryError" in line for line in lines)


def test_one_that_prints_for_ever_is_killed_and_its_output_cut(run):
    because, said, lines = run(
        "print_for_ever", limits={"output_bytes": 10_000, "most_output_bytes": 20 * MEBIBYTE}
    )
    assert because == "output"
    assert "printed more than 20,971,520 bytes" in said
    assert sum(map(len, lines)) < 11_000


def test_one_that_ends_well_without_a_model_has_failed(run):
    outcome, said, lines = run("exit_without_model")
    assert (outcome, said) == ("failed", "training failed: the artifact folder is empty")
    assert "all is well" in lines


def test_one_that_crashes_is_quoted(run):
    _, said, _ = run("crash")
    assert said == (
        "training failed: command/wild ended with exit code 1: the learning rate is no number"
    )


def test_a_program_that_is_not_there_is_named(executor, rows, tmp_path):
    command = TrainerCommand(train=("/no/such/program",), predict=("/no/such/program",))
    sealed = seal("wild", command).model_dump(mode="json")
    folder = train_job(tmp_path / "job", rows, trainer="command", command=sealed, params={})
    executor.run(ChildTask(ENTRY, folder), threading.Event())
    assert "/no/such/program cannot be started: No such file" in read_result(folder)["message"]


@pytest.mark.skipif(not PERMITTED.writes, reason="no Landlock here")
@pytest.mark.parametrize("place", ["elsewhere", "job/result.json"])
def test_one_that_writes_outside_its_folder_cannot(run, tmp_path, place):
    outcome, said, _ = run("write_outside", place=str(tmp_path / place))
    assert outcome == "failed"
    assert "Permission" in said
    assert not (tmp_path / "elsewhere").exists()


def test_one_that_writes_too_large_a_file_is_quoted(run):
    outcome, said, _ = run("fill", limits={"file_bytes": 2 * MEBIBYTE})
    assert outcome == "failed"
    assert "File too large" in said


def test_a_link_in_the_artifact_is_refused(run):
    outcome, said, _ = run("link")
    assert outcome == "failed"
    assert said == "training failed: the artifact holds 'model.json', a symbolic link"


def test_a_daemon_does_not_outlive_the_run(run):
    _, _, lines = run("daemon")
    (pid,) = [int(line.removeprefix("daemon ")) for line in lines if line.startswith("daemon ")]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and alive(pid):
        time.sleep(0.02)
    assert not alive(pid)


def test_whom_it_leaves_dead_is_buried_while_it_runs(run):
    _, said, _ = run("leave_dead", seconds=PATIENCE_SECONDS)
    assert said == "training failed: command/wild ended with exit code 1: all are buried"


def alive(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.mark.skipif(not PERMITTED.network, reason="the kernel permits no network of one's own")
@pytest.mark.parametrize("network", [False, True])
def test_there_is_no_network_unless_the_operator_says_so(run, network):
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, said, _ = run("call_out", network=network, port=server.getsockname()[1])
    expected = "nothing to predict with" if network else "refused"
    assert expected in said
