"""Worker processes for the fault tests: started, watched, killed; and what their jobs did."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url, text

from mlreg.controller.services import jobs
from tests.faults import worker_process
from tests.faults.forks import Fork

RUNS = Path(__file__).with_name("run_process.py")
RUN_LEASE_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


class WorkerProcess:
    """One worker in a process of its own, with its log."""

    def __init__(self, url, folder, lease_seconds):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log").touch()
        self.process = Fork(lambda: worker_process.main(url, folder, lease_seconds))

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def await_start_of(self, job_id, attempt):
        await_true((self.folder / f"started-{job_id}-{attempt}").exists)

    def close(self):
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(url, folder, lease_seconds):
    process = WorkerProcess(url, folder, lease_seconds)
    try:
        yield process
    finally:
        process.close()


@contextmanager
def run_worker_process(url, folder, now, failpoint="", lease_seconds=RUN_LEASE_SECONDS):
    """A worker of the real jobs in a process of its own, at a moment, that may die at a point."""
    clock = now if isinstance(now, str) else now.isoformat()
    words = [url, folder / "work", folder / "store", str(lease_seconds), clock]
    with (
        (folder / "worker.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, RUNS, *words],
            env={**os.environ, "MLREG_FAILPOINT": failpoint},
            stderr=log,
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def restart_loop(database, folder, lease_seconds):
    """Keep one worker running, however often it dies; its leases end with it."""
    stop, deaths = threading.Event(), []

    def supervise():
        while not stop.is_set():
            with worker(database.url, folder, lease_seconds) as one:
                while one.process.poll() is None and not stop.is_set():
                    time.sleep(0.02)
                if not stop.is_set():
                    deaths.append(one.process.returncode)
                    end_leases(database)

    thread = threading.Thread(target=supervise)
    thread.start()
    try:
        yield deaths
    finally:
        stop.set()
        thread.join()


def await_true(condition, seconds=PATIENCE_SECONDS):
    """Wait until it holds; `seconds` say when to give up, not how fast it has to be."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def end_connections(postgres, url):
    """End every connection to a database, and wait until the last of them is gone."""
    with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [make_url(url).database],
        )


def count_there(database):
    """Count the controllers and workers that say that they are there."""
    with database.reading() as session:
        return session.execute(text("SELECT count(*) FROM member")).scalar_one()


def end_leases(database):
    """Let the leases of those who died run out now: who lives has none at this moment."""
    with database.writing() as session:
        session.execute(text("UPDATE job SET lease_until = now() WHERE state = 'running'"))


def make_effect_table(admin_url):
    with psycopg.connect(admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE effect (job_id bigint, attempt int)")
        connection.execute("GRANT ALL ON effect TO PUBLIC")


def enqueue(database, kind, **options):
    payload = options.pop("payload", {})
    with database.writing() as session:
        return jobs.enqueue(session, kind=kind, payload=payload, **options)


def effects(database):
    with database.reading() as session:
        rows = session.execute(text("SELECT job_id, attempt FROM effect ORDER BY 1, 2"))
        return [tuple(row) for row in rows]


def job_state(database, job_id):
    with database.reading() as session:
        query = text("SELECT state, attempt FROM job WHERE id = :id")
        return tuple(session.execute(query, {"id": job_id}).one())
