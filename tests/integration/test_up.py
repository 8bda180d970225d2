"""`mlreg up`: starts, serves, restarts what dies, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.faults.workers import PATIENCE_SECONDS, await_true
from tests.servers.running import RunningMlreg


def is_ready(running: RunningMlreg) -> bool:
    try:
        with urllib.request.urlopen(f"{running.url}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child} | descendants(child)
    return found


def running_among(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state not in "ZX":
            alive.add(pid)
    return alive


def test_the_token_is_for_this_user_alone(mlreg):
    assert (mlreg.data / "admin-token").stat().st_mode & 0o777 == 0o600
    credentials = mlreg.config / "credentials.json"
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert json.loads(credentials.read_bytes())["tokens"][mlreg.url] == mlreg.token
    assert mlreg.token not in mlreg.output.read_text()


def test_it_listens_on_this_machine_only(mlreg):
    assert mlreg.url.startswith("http://127.0.0.1:")


@pytest.mark.slow
@pytest.mark.parametrize("role", ["api", "control", "worker", "postgres"])
def test_what_dies_is_started_again(mlreg, role):
    before = mlreg.pids()[role]
    os.kill(before, signal.SIGKILL)
    await_true(lambda: mlreg.pids().get(role, before) != before)
    await_true(lambda: is_ready(mlreg))


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.nightly),
        pytest.param(signal.SIGTERM, marks=pytest.mark.nightly),
        signal.SIGKILL,
    ],
)
def test_nothing_is_left_running(start_mlreg, how):
    running = start_mlreg()
    everything = descendants(running.process.pid)
    assert len(everything) >= 8
    running.process.send_signal(how)
    code = running.process.wait(timeout=PATIENCE_SECONDS)
    if how == signal.SIGKILL:
        await_true(lambda: not running_among(everything))
    else:
        assert (code, running_among(everything)) == (0, set())


@pytest.mark.nightly
@pytest.mark.parametrize(
    "sign", ["postgres.unfinished", "postgres/PG_VERSION", "logs/prepare.log", "admin-token"]
)
def test_a_first_start_that_was_killed_is_done_again(start_mlreg, tmp_path, sign):
    data = tmp_path / "data"
    words = [sys.executable, "-m", "mlreg.cli", "up", f"--data={data}", "--port=0"]
    environ = {**RunningMlreg(data).environ, "MLREG_UNSAFE_NO_SYNC": ""}
    with subprocess.Popen(words, env=environ, stderr=subprocess.DEVNULL) as up:
        await_true((data / sign).exists)
        everything = descendants(up.pid)
        up.kill()
    again = start_mlreg(data)
    with again.client() as client:
        assert client.models.list(limit=1).items == []
    assert running_among(everything) == set()


@pytest.mark.nightly
@pytest.mark.parametrize("point", ["first_start.token_kept", "first_start.token_made"])
def test_the_token_survives_a_first_start_that_was_killed(start_mlreg, tmp_path, point):
    with pytest.raises(RuntimeError, match="the database's first start does not start"):
        start_mlreg(tmp_path / "data", environ={"MLREG_FAILPOINT": point})
    again = start_mlreg(tmp_path / "data")
    with again.client() as client:
        assert client.models.list(limit=1).items == []


def test_a_folder_has_one_mlreg(mlreg):
    refused = mlreg.cli("up", f"--data={mlreg.data}", "--port=0", check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"in use by the mlreg of process {mlreg.process.pid}" in refused.stderr


def test_a_port_has_one_program(mlreg, tmp_path):
    port = mlreg.url.rpartition(":")[2]
    refused = mlreg.cli("up", f"--data={tmp_path / 'other'}", f"--port={port}", check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"mlreg: port {port} on 127.0.0.1 is in use by another program. "
        "Stop it, or choose another port with --port.\n"
    )


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        (["up", "--data=/proc/nowhere"], {}, "cannot be used as the data folder"),
        (["up"], {"MLREG_HOST": "203.0.113.7", "MLREG_PORT": "0"}, "listen on 203.0.113.7:0"),
        (["serve"], {}, "MLREG_DATABASE_URL: field required"),
        (["work"], {"MLREG_PORT": "many"}, "MLREG_PORT"),
    ],
)
def test_a_bad_start_is_one_line(tmp_path, words, environ, said):
    done = subprocess.run(
        [sys.executable, "-m", "mlreg.cli", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {2, 5}
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
