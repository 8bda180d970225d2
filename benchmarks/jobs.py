"""The job table: jobs through it per second, and claims among 100,000 queued and 1 M ended ones.

`python -m benchmarks.jobs` makes a server of its own with PostgreSQL's usual durability (every
commit is flushed), fills the table with 1,000,000 ended jobs and 100,000 queued ones, and then, in
this one process: enqueues, claims and completes jobs in batches of 100 (what a tick and small jobs
do), and one at a time (what a worker does whose jobs take longer than a claim); then the same of
several processes at once, of which each does one at a time. It prints the plan of a claim where it
is not an index scan. `locked` is the worst case: 100,000 queued runs of one model of which one
runs, in front of the only job that can be claimed.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from benchmarks.report import report
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.controller.services import claims, jobs, leases
from mlreg.controller.services.claims import Claim
from mlreg.controller.services.jobs import JobRequest
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

QUEUED, ENDED = 100_000, 1_000_000
BATCH, BATCHES, SINGLES, PROCESSES = 100, 40, 400, 4
KIND, OTHER = "count", "of-others"
TARGETS = {
    "jobs_per_second_in_batches": (">=", 1_000.0),
    "claim_among_100k_ms": ("<=", 5.0),
}
_FILL = text("""
    INSERT INTO job (kind, payload, state, priority, model_id, turn, dedupe_key, attempt,
                     max_attempts, enqueued_at, ended_at)
    SELECT :kind, '{}', CAST(:state AS text), 100, number % 1000, number / 1000,
           CAST(:state AS text) || number, 1, 3, now(),
           CASE WHEN CAST(:state AS text) = 'succeeded' THEN now() END
    FROM generate_series(1, :count) AS number
""")
_LOCK = text("""
    UPDATE job SET lock_key = 'model', priority = 50 WHERE state = 'queued' AND kind = :kind
""")
_PLAN = text("EXPLAIN (COSTS OFF) " + str(claims.rows._TAKE))  # noqa: SLF001 - its plan is the point


def fill(database: Database) -> None:
    """Fill the table."""
    with database.writing() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(_FILL, {"kind": OTHER, "state": "succeeded", "count": ENDED})
        session.execute(_FILL, {"kind": KIND, "state": "queued", "count": QUEUED})
    vacuum(database)


def vacuum(database: Database) -> None:
    """Let the planner know the table, as autovacuum does."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE job"))


def claim_of(count: int, database: Database) -> Sequence[leases.Lease]:
    """Claim so many."""
    return claims.claim_all(database, Claim("benchmark", (KIND,), 30.0), count)


def round_of(database: Database, count: int) -> list[float]:
    """Enqueue, claim and complete so many, each step in one transaction; return their seconds."""
    seconds = [time.perf_counter()]
    with database.writing() as session:
        jobs.enqueue_all(session, [JobRequest(KIND, {"model_id": n}) for n in range(count)])
    seconds.append(time.perf_counter())
    claimed = claim_of(count, database)
    seconds.append(time.perf_counter())
    with database.writing() as session:
        for lease in claimed:
            leases.complete(session, lease)
    seconds.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(seconds)]


def measure() -> dict[str, float]:
    """Return every number."""
    folder = Path(tempfile.mkdtemp(prefix="mlreg-jobs-"))
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    try:
        upgrade(server.url())
        database = Database(server.url())
        fill(database)
        show_plan(database)
        found = rates(database)
        found["claim_behind_100k_locked_ms"] = behind_a_lock(database)
        database.dispose()
        return found
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def rates(database: Database) -> dict[str, float]:
    """Return jobs per second in batches and one by one, and the milliseconds of one claim."""
    round_of(database, BATCH)
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(BATCHES):
        round_of(database, BATCH)
    batched, batched_cpu = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    singles = [round_of(database, 1) for _ in range(SINGLES)]
    alone = time.perf_counter() - began
    return {
        "jobs_per_second_in_batches": BATCH * BATCHES / batched,
        "python_cpu_us_per_job_in_batches": batched_cpu / (BATCH * BATCHES) * 1e6,
        "jobs_per_second_one_by_one": SINGLES / alone,
        "jobs_per_second_one_by_one_by_four": rate_of_several(database),
        "claim_among_100k_ms": 1e3 * statistics.median(one[1] for one in singles),
    }


def rate_of_several(database: Database) -> float:
    """Return the jobs per second of several processes that each do one at a time."""
    words = [sys.executable, "-m", "benchmarks.jobs", "--singles", database.url]
    with ExitStack() as running:
        made = [
            running.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(PROCESSES)
        ]
        pipes = [(one.stdin, one.stdout) for one in made if one.stdin and one.stdout]
        for _, says in pipes:
            says.readline()
        began = time.perf_counter()
        for hears, _ in pipes:
            hears.close()
        for _, says in pipes:
            says.readline()
        return PROCESSES * SINGLES / (time.perf_counter() - began)


def do_singles(url: str) -> None:
    """Say that it is ready, wait for the word, do them one by one, and say so."""
    database = Database(url)
    round_of(database, 1)
    print("ready", flush=True)
    sys.stdin.read()
    for _ in range(SINGLES):
        round_of(database, 1)
    print("done", flush=True)


def behind_a_lock(database: Database) -> float:
    """Return the milliseconds of a claim of the only job that no lock keeps waiting."""
    with database.writing() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(_LOCK, {"kind": KIND})
    vacuum(database)
    claim_of(1, database)
    seconds = []
    for _ in range(5):
        with database.writing() as session:
            jobs.enqueue(session, kind=KIND, payload={})
        began = time.perf_counter()
        claim_of(1, database)
        seconds.append(time.perf_counter() - began)
    return 1e3 * statistics.median(seconds)


def show_plan(database: Database) -> None:
    """Print the plan of a claim unless it walks the index of what is ready."""
    values = {"worker": "", "kinds": [KIND], "labels": [], "declined": [], "count": 1, "idle": True}
    values |= {"price": None, "currency": None, "lease_seconds": 30.0}
    with database.writing() as session:
        lines = session.execute(_PLAN, values).scalars().all()
    if not any("ix_job_ready" in line for line in lines) or any("Seq Scan" in one for one in lines):
        print("\n".join(lines))


if __name__ == "__main__":
    if "--singles" in sys.argv:
        do_singles(sys.argv[-1])
    else:
        report(measure, TARGETS)
