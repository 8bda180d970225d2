"""Fault 30: whatever a dead PostgreSQL leaves behind, a new one answers within 10 seconds.

Watched to fail: with the socket's lock file left in place, with the pid file left in place, with a
postmaster recognised by its number alone (the stranger is killed), without the end of orphaned
backends, without the end of a living postmaster, and without the supervisor's watch.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from mlreg.cli import processes
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.account import server_account
from mlreg.cli.postgres.cluster import identity
from tests.faults.workers import PATIENCE_SECONDS

LIMIT_SECONDS = 10.0
pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    folder = Path(tempfile.mkdtemp(prefix="mlreg-f30-"))
    server = EmbeddedPostgres(folder / "pg", settings={"fsync": "off"}, sync=False)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def ask(server: EmbeddedPostgres, question: str):
    with psycopg.connect(
        f"host={server.socket_folder} user=postgres dbname=postgres", autocommit=True
    ) as connection:
        return connection.execute(question)


def assert_starts_in_time(server: EmbeddedPostgres) -> None:
    started = time.monotonic()
    server.start()
    assert time.monotonic() - started < LIMIT_SECONDS
    assert server.answers()


def test_killed_at_once_and_not_reaped(server):
    ask(server, "CREATE TABLE kept (id int)")
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    while processes.state(killed) != "Z":
        time.sleep(0.005)
    assert not server.answers(), "a zombie was taken for a server"
    assert_starts_in_time(server)
    ask(server, "SELECT * FROM kept")


def test_under_a_pid_1_that_never_reaps(server):
    folder = server.cluster.with_name("other")
    program = Path(__file__).with_name("non_reaping_init.py")
    done = subprocess.run(
        [sys.executable, program, folder], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, state, answers = done.stdout.split()
    assert (state, answers) == ("Z", "True")
    assert float(seconds) < LIMIT_SECONDS


def test_a_pid_file_that_names_a_living_stranger(server):
    os.kill(server.pid, signal.SIGKILL)
    file = server.cluster / "postmaster.pid"
    lines = file.read_text().splitlines()
    stranger = subprocess.Popen(["/bin/sleep", "60"], **identity(server_account(server.cluster)))
    try:
        file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert_starts_in_time(server)
        assert stranger.poll() is None, "the stranger was signalled"
    finally:
        stranger.kill()
        stranger.wait()


def test_backends_that_outlive_their_postmaster(server):
    busy = threading.Thread(target=_count_for_ever, args=[server], daemon=True)
    busy.start()
    while not ask(server, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%1e12%' LIMIT 1"):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(server.pid, signal.SIGKILL)
    assert_starts_in_time(server)
    busy.join(PATIENCE_SECONDS)
    assert not busy.is_alive(), "the orphan still counts"


def _count_for_ever(server: EmbeddedPostgres) -> None:
    try:
        ask(server, "SELECT count(*) FROM generate_series(1, 1e12)")
    except psycopg.OperationalError:
        return


def test_a_former_postmaster_that_still_lives(server):
    second = EmbeddedPostgres(server.cluster, settings={"fsync": "off"}, sync=False)
    former = server.pid
    try:
        assert_starts_in_time(second)
        assert not processes.is_running(former)
    finally:
        second.stop()


def test_mlreg_up_is_ready_again(start_mlreg):
    running = start_mlreg()
    for _ in range(2):
        os.kill(running.pids()["postgres"], signal.SIGKILL)
        killed = time.monotonic()
        while not _is_ready(running.url):
            assert time.monotonic() - killed < LIMIT_SECONDS
            time.sleep(0.02)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
