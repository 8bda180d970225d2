import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlreg.controller.confinement import find_confinement
from mlreg.controller.executors.executor import (
    MEBIBYTE,
    ChildTask,
    ExecutorLostError,
    Limits,
    failure_line,
    is_over_limit,
)
from mlreg.controller.executors.local import LocalExecutor
from tests.faults.workers import PATIENCE_SECONDS

HERE = Path(__file__).parent
PERMITTED = find_confinement()
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(HERE),
    "MLREG_TOKEN": "mlr_secret",
    "MLREG_DATABASE_URL": "postgresql://secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


@pytest.fixture(scope="module")
def executor():
    executor = LocalExecutor(ENVIRONMENT)
    yield executor
    executor.close()


@pytest.fixture
def run(executor, tmp_path):
    def run(entry, *, halt=None, **limits):
        lines = []
        task = ChildTask(f"executor_children:{entry}", tmp_path, Limits(**limits), lines.extend)
        return task, executor.run(task, halt or threading.Event()), lines

    return run


def alive(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def gone(pids, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(alive, pids))


def await_file(path, seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + seconds
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


def test_a_child_answers_by_files_and_prints_lines(run, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"numbers": [1, 2, 3]}))
    _, result, lines = run("answer")
    assert result.succeeded
    assert json.loads((tmp_path / "result.json").read_text()) == {"sum": 6}
    assert sorted(lines) == ["and an error", "lines", "two"]
    assert 0 < result.seconds < PATIENCE_SECONDS
    assert 10 * MEBIBYTE < result.peak_bytes < 1024 * MEBIBYTE


def test_an_exception_becomes_one_line_and_a_traceback_in_the_log(run):
    task, result, lines = run("raise_error")
    assert (result.exit_code, result.succeeded) == (1, False)
    assert failure_line(task, result) == "column 'temp' is missing"
    assert any("Traceback" in line for line in lines)


def test_an_entry_that_is_not_there_fails_clearly(run):
    task, result, _ = run("no_such_function")
    assert "no_such_function" in failure_line(task, result)


def test_a_child_that_prints_200_mb_is_heard_within_bounds(run):
    _, result, lines = run("print_for_ever", output_bytes=100_000)
    assert result.succeeded
    assert sum(map(len, lines)) < 110_000
    assert lines[-1].endswith("more bytes of output were dropped]")


def test_lines_hold_no_control_characters_and_have_a_length(run):
    _, _, lines = run("print_binary")
    assert lines[0] == "nul  escape  bad \ufffd utf8"
    assert [len(line) for line in lines[1:]] == [4000, 4000, 2000]


def test_wall_time(run):
    task, result, _ = run("sleep", wall_seconds=0.5)
    assert result.killed_because == "wall_time"
    assert 0.4 < result.seconds < PATIENCE_SECONDS  # it would sleep for ten minutes
    assert "wall time of 0.5 seconds" in failure_line(task, result)


def test_cpu_time(run):
    task, result, _ = run("spin", cpu_seconds=1)
    assert result.killed_because == "cpu_time"
    assert "CPU time" in failure_line(task, result)


def test_memory(run):
    task, result, _ = run("eat", address_space_bytes=640 * MEBIBYTE)
    assert not result.succeeded
    assert result.peak_bytes < 640 * MEBIBYTE
    assert "out of memory" in failure_line(task, result)


def test_a_file_that_is_too_large_would_be_so_again(run):
    task, result, _ = run("fill", file_bytes=2 * MEBIBYTE)
    assert is_over_limit(task, result)
    said = "a file would have been larger than 2 MiB, the limit of disk"
    assert failure_line(task, result) == said


def test_memory_and_cpu_time_are_of_all_that_it_started(run, tmp_path):
    task, result, _ = run("eat_together", address_space_bytes=900 * MEBIBYTE, wall_seconds=60)
    assert result.killed_because == "memory"
    assert "with all that it started it held more than 900 MiB" in failure_line(task, result)
    assert gone(await_file(tmp_path / "pids"))
    task, result, _ = run("spin_together", cpu_seconds=1, wall_seconds=60)
    assert result.killed_because == "cpu_time"


def test_a_halt_kills_the_whole_group_and_those_who_left_it(run, tmp_path):
    halt = threading.Event()
    threading.Thread(
        target=lambda: (await_file(tmp_path / "pids"), halt.set()), daemon=True
    ).start()
    _, result, _ = run("sleep_with_offspring", halt=halt)
    assert result.killed_because == "halted"
    assert gone(await_file(tmp_path / "pids"))


def test_a_child_that_ends_leaves_no_offspring(run, tmp_path):
    _, result, _ = run("leave_offspring")
    assert result.succeeded
    assert gone(await_file(tmp_path / "pids"))


def test_a_daemon_is_its_childs_own_until_that_ends(executor, tmp_path):
    halt, results, other = threading.Event(), [], tmp_path / "other"
    other.mkdir()
    long = ChildTask("executor_children:sleep_with_a_daemon", tmp_path)
    thread = threading.Thread(target=lambda: results.append(executor.run(long, halt)))
    thread.start()
    try:
        pids = await_file(tmp_path / "pids")
        for _ in range(2):  # once the second has ended, what the first's end brought is done
            task = ChildTask("executor_children:nothing", other)
            assert executor.run(task, threading.Event()).succeeded
        assert all(map(alive, pids)), "the end of another child is none of its business"
    finally:
        halt.set()
        thread.join()
    assert [one.killed_because for one in results] == ["halted"]
    assert gone(pids)


def test_the_memory_of_daemons_is_counted(run, tmp_path):
    _, result, _ = run("eat_in_daemons", address_space_bytes=900 * MEBIBYTE, wall_seconds=60)
    assert result.killed_because == "memory"
    assert gone(await_file(tmp_path / "pids"))


def test_hard_ends(run):
    task, result, _ = run("exit_hard")
    assert (result.exit_code, failure_line(task, result)) == (7, "the child ended with exit code 7")
    task, result, _ = run("kill_self")
    assert result.signal == signal.SIGKILL
    assert "SIGKILL" in failure_line(task, result)


def test_the_child_sees_no_secret_and_no_file_of_ours(run, tmp_path):
    run("look_around")
    seen = json.loads((tmp_path / "result.json").read_text())
    assert seen["environment"].pop("TMPDIR") == str(tmp_path)
    assert "secret" not in json.dumps(seen)
    assert not any(name.startswith("MLREG_") for name in seen["environment"])
    assert seen["files"] <= 4  # stdin, stdout, stderr, and the listing itself


@pytest.mark.skipif(not PERMITTED.network, reason="the kernel permits no network of one's own")
def test_the_child_has_no_network_unless_the_task_has_it(executor, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        tasks = [
            ChildTask("executor_children:call_out", tmp_path, network=network)
            for network in (False, True)
        ]
        without, with_network = (executor.run(task, threading.Event()) for task in tasks)
    assert not without.succeeded
    assert with_network.succeeded


@pytest.mark.skipif(not PERMITTED.writes, reason="no Landlock here")
def test_the_child_writes_in_its_own_folder_only(executor, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    task = ChildTask("executor_children:write_outside", folder)
    result = executor.run(task, threading.Event())
    assert not result.succeeded
    assert "Permission denied" in failure_line(task, result)
    assert not (tmp_path / "elsewhere").exists()


def test_lightgbm_with_threads_works_in_a_fork(run, tmp_path):
    _, result, lines = run("train_a_little")
    assert result.succeeded, lines
    assert json.loads((tmp_path / "result.json").read_text()) == {"trees": 20}


def test_many_at_once(executor, tmp_path):
    results = []

    def one(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        task = ChildTask("executor_children:nothing", folder)
        results.append(executor.run(task, threading.Event()).succeeded)

    threads = [threading.Thread(target=one, args=[number]) for number in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == [True] * 12


def test_a_fork_is_cheap_and_safe(run, executor):
    run("nothing")
    assert len(list(Path(f"/proc/{executor._server.pid}/task").iterdir())) == 1
    # where it imported anew, none would be that quick; on a busy machine one of many is
    assert any(run("nothing")[1].seconds < 0.2 for _ in range(100))


def test_a_dead_fork_server_is_named_and_replaced(tmp_path):
    executor = LocalExecutor(ENVIRONMENT, preload=())
    try:
        task = ChildTask("executor_children:sleep", tmp_path)

        def kill_server():
            await_file(tmp_path / "pid")
            executor._server.kill()

        threading.Thread(target=kill_server, daemon=True).start()
        with pytest.raises(ExecutorLostError):
            executor.run(task, threading.Event())
        assert gone(await_file(tmp_path / "pid"))
        again = ChildTask("executor_children:nothing", tmp_path)
        assert executor.run(again, threading.Event()).succeeded
    finally:
        executor.close()


WORKER = """
import sys, threading
from pathlib import Path
from mlreg.controller.executors.executor import ChildTask
from mlreg.controller.executors.local import LocalExecutor
executor = LocalExecutor({"PYTHONPATH": sys.argv[1]}, preload=())
task = ChildTask("executor_children:sleep_with_offspring", Path(sys.argv[2]))
executor.run(task, threading.Event())
"""


def test_no_orphan_is_left_when_the_worker_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WORKER, str(HERE), str(tmp_path)]) as worker:
        pids = await_file(tmp_path / "pids")
        server = int(Path(f"/proc/{pids[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])
        worker.kill()
    assert gone([*pids, server])
