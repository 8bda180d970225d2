"""One tick over 10,000 policies with three triggers each.

`python -m benchmarks.tick` makes a server of its own (PostgreSQL's usual durability), 10,000 models
each with a champion and a policy of three triggers (a due time, labelled rows, drift; `combine:
all`), and a week of daily readings of each that are read and measured. Then, in a process of its
own, it ticks: with nothing due, and at three in the morning, when the due time of every policy has
come and all their triggers are judged over their readings. Of one in a thousand something comes: a
firing, a run and its job. The first tick after the start also reads all policies; it is said apart,
and so is one without an assessor, and one in which a sixtieth is due.

CPU is that of the controller and its assessor; the rest is PostgreSQL's. `policies` and `features`
make other cases: `python -m benchmarks.tick 1000 10`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from benchmarks.report import Target, report
from benchmarks.seed import seed_versions
from mlreg.cli.assessing import COMMAND
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.services import tick as ticking
from mlreg.controller.services.assessor import Assessor
from mlreg.controller.services.leadership import Reign, take_leadership
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

POLICIES, FEATURES, DAYS = 10_000, 2, 7
FIRING = 1_000
"""One policy in so many fires."""
MINUTES = 60
"""One policy in so many is due where hourly looks are spread over the minutes of the hour."""
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)
TARGETS = {
    "nothing_due_seconds": ("<=", 1.0),
    "all_due_seconds": ("<=", 1.0),
    "peak_mib": ("<=", 500.0),
}
POLICY = """
model: {name}
data: {{train_window: 20d, evaluate_window: 5d, label_delay: 1d}}
triggers:
  - {{schedule: "0 3 * * *"}}
  - {{labelled_rows: {rows}}}
  - {{drift: psi, above: {above}, windows: 2}}
combine: all
gates: [{{champion: log_loss, margin: 0.002}}]
"""
_DEPLOY = """
    INSERT INTO deployment (model_id, environment, revision, champion, frozen, updated_at)
    SELECT id, 'production', 1, 1, false, :at FROM model;
"""
_REVISE = """
    INSERT INTO revision (deployment_id, number, champion, candidates, frozen, cause, actor, reason,
                          forced, at)
    SELECT id, 1, 1, '[]', false, 'promote', 'anna', '', false, :at FROM deployment
"""
_POLICY = """
    INSERT INTO policy (model_id, environment, number, source, body, created_at, created_by)
    SELECT model.id, 'production', 1, '', CAST(one.body AS jsonb), :at, 'anna'
    FROM unnest(CAST(:names AS text[]), CAST(:bodies AS text[])) AS one (name, body)
    JOIN model ON model.name = one.name
"""
_STATE = """
    INSERT INTO policy_state (model_id, environment, policy_id, enabled, next_fire_at,
                              evaluated_until, memory)
    SELECT model_id, environment, id, true, :due, :midnight, CAST(:memory AS jsonb) FROM policy
"""
APPLIED = (_DEPLOY, _REVISE, _POLICY, _STATE)
"""What gives each model a champion, and a policy that is due."""
_READINGS = """
    INSERT INTO reading (model_id, environment, monitor, subject, start, "end", value, rows, state,
                         created_at)
    SELECT model.id, 'production', one.monitor, one.subject, day.at, day.at + interval '1 day',
           one.value, 1000, 'final', :midnight
    FROM model, generate_series(CAST(:first AS timestamptz), :midnight - interval '1 day',
                                interval '1 day') AS day (at),
         (SELECT 'labelled' AS monitor, '' AS subject, 1000 AS value
          UNION ALL SELECT 'psi', 'f' || number, 0.3 FROM generate_series(1, :features) AS number
         ) AS one
"""
_DUE = """
    UPDATE policy_state SET memory = CAST(:memory AS jsonb),
        next_fire_at = CASE WHEN id % :one_of = 0 THEN CAST(:due AS timestamptz) ELSE :later END
"""


class Ticked(NamedTuple):
    """What a tick took; the processor time is that of the controller and its assessor."""

    seconds: float
    cpu_seconds: float
    judged: float


def build(database: Database, policies: int, features: int) -> None:
    """Write models, champions, policies and what was read of them."""
    names = seed_versions(database.url, policies, policies, prefix="m").names
    memory = PolicyMemory(MIDNIGHT, MIDNIGHT - DAY, MIDNIGHT).to_json()
    values: Mapping[str, object] = {
        "at": MIDNIGHT - 60 * DAY,
        "names": list(names),
        "bodies": bodies_of(names),
        "due": MIDNIGHT + timedelta(hours=3),
        "midnight": MIDNIGHT,
        "memory": json.dumps(memory),
        "first": MIDNIGHT - DAYS * DAY,
        "features": features,
    }
    write_all(database, (*APPLIED, _READINGS), values)


def write_all(database: Database, statements: Iterable[str], values: Mapping[str, object]) -> None:
    """Execute statements, however long they take, and let the planner know what they wrote."""
    with database.writing() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in statements:
            session.execute(text(statement), values)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))


def bodies_of(names: Sequence[str]) -> list[str]:
    """Return the policies as they are written down; each has numbers of its own."""
    one = parse_policy(POLICY.format(name="m", rows=1, above=0.2)).to_json()
    found = []
    for number, name in enumerate(names):
        fires = number % FIRING == 0
        schedule, rows, drift = one["triggers"]
        triggers = [
            schedule,
            {**rows, "labelled_rows": 1_000 if fires else 100_000 + number},
            {**drift, "above": 0.2 + number / 1e7},
        ]
        found.append(json.dumps({**one, "model": name, "triggers": triggers}))
    return found


def measure_ticks(url: str) -> dict[str, float]:
    """Tick, as a controller does; return seconds, and the peak memory of both processes."""
    database = Database(url)
    assessor = Assessor(COMMAND, database.url, 60.0)
    before = peak_mib()
    while not assessor.is_there():
        time.sleep(0.1)
    nothing = _ticked(database, MIDNIGHT + timedelta(hours=1), assessor)
    first = _ticked(database, MIDNIGHT + timedelta(hours=3), assessor)
    _due_again(database)
    all_due = _ticked(database, MIDNIGHT + timedelta(hours=3, minutes=1), assessor)
    peak = peak_mib() + peak_mib(assessor.pid)
    _due_again(database, one_of=MINUTES)
    spread = _ticked(database, MIDNIGHT + timedelta(hours=3, minutes=1), assessor)
    assessor.close()
    for _ in range(2):  # at first it reads the policies that were the assessor's
        _due_again(database)
        alone = _ticked(database, MIDNIGHT + timedelta(hours=3, minutes=1), None)
    found = {
        "nothing_due_seconds": nothing.seconds,
        "nothing_due_cpu_seconds": nothing.cpu_seconds,
        "all_due_seconds": all_due.seconds,
        "all_due_cpu_seconds": all_due.cpu_seconds,
        "all_due_in_one_process_seconds": alone.seconds,
        "all_due_in_one_process_cpu_seconds": alone.cpu_seconds,
        "a_sixtieth_due_seconds": spread.seconds,
        "a_sixtieth_due_cpu_seconds": spread.cpu_seconds,
        "first_all_due_seconds": first.seconds,
        "judged": all_due.judged,
        "judged_of_a_sixtieth": spread.judged,
        "peak_mib": peak,
        "of_it_before_the_first_tick_mib": before,
    }
    database.dispose()
    return found


def peak_mib(pid: int | None = None) -> float:
    """Return the most memory that a process has had, this one or another; none of its parent's."""
    lines = Path(f"/proc/{pid or 'self'}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def cpu_seconds(pid: int | None) -> float:
    """Return the processor time that another process has had; 0 of none."""
    if pid is None:
        return 0.0
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


def _due_again(database: Database, one_of: int = 1) -> None:
    """Let one of so many policies be due once more, with nothing judged since midnight."""
    memory = json.dumps(PolicyMemory(MIDNIGHT, MIDNIGHT - DAY, MIDNIGHT).to_json())
    due = MIDNIGHT + timedelta(hours=3)
    values = {"due": due, "later": due + DAY, "one_of": one_of, "memory": memory}
    with database.writing() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        for table in ("trigger_record", "run_log", "run", "firing", "job"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text(_DUE), values)


def lead(database: Database) -> Reign:
    """Lead, for longer than any tick takes."""
    leadership = take_leadership(database, "benchmark", ttl_seconds=600.0)
    if leadership is None:
        sys.exit("another controller ticks here")
    return Reign(database, leadership)


def _ticked(database: Database, now: datetime, assessor: Assessor | None) -> Ticked:
    reign, pid = lead(database), None if assessor is None else assessor.pid
    began, cpu = time.perf_counter(), time.process_time() + cpu_seconds(pid)
    done = ticking.tick(database, now=now, reign=reign, assessor=assessor)
    seconds, spent = time.perf_counter() - began, time.process_time() + cpu_seconds(pid) - cpu
    if done.failed:
        sys.exit(f"the tick failed: {done.failed[0]}")
    return Ticked(seconds, spent, float(done.judged))


def measure(policies: int = POLICIES, features: int = FEATURES) -> dict[str, float]:
    """Return every number; the ticks are of a process of their own."""
    return measure_apart("tick", lambda database: build(database, policies, features))


def measure_apart(name: str, build: Callable[[Database], None]) -> dict[str, float]:
    """Build on a server of its own; return what a process of its own measures there.

    Args:
        name: of the benchmark, which is called with `--ticks` and the server's URL.
        build: writes what is there before.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"mlreg-{name}-"))
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    try:
        upgrade(server.url())
        database = Database(server.url())
        build(database)
        database.dispose()
        words = [sys.executable, "-m", f"benchmarks.{name}", "--ticks", server.url()]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main(
    measure_there: Callable[[str], dict[str, float]],
    measure_all: Callable[..., dict[str, float]],
    targets: Mapping[str, Target],
) -> None:
    """Be the process that measures, or the one that reports; numbers in its words are sizes."""
    if "--ticks" in sys.argv:
        print(json.dumps(measure_there(sys.argv[-1])))
        return
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()]
    sys.argv = [word for word in sys.argv if not word.isdigit()]
    report(lambda: measure_all(*sizes), targets)


if __name__ == "__main__":
    main(measure_ticks, measure, TARGETS)
