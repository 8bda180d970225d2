"""Midnight: the day of a thousand policies closes, and each is read.

`python -m benchmarks.midnight` makes a server of its own (PostgreSQL's usual durability) and 1,000
models, each with a champion, a policy of three triggers, 24 hours of profiles of eight features,
and four weeks of days before them. Then, in a process of its own, it ticks a minute after midnight
until all windows are read: of each policy one (44 readings, and 15 that await labels), and a job is
asked for that measures the day before. Two more ticks are said apart: one while all policies wait
for those jobs, as they do for minutes, and the one in which all are done and all policies judged.

CPU is the controller's; the rest is PostgreSQL's. `python -m benchmarks.midnight 10000` makes
another number of policies.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import text

from benchmarks.seed import seed_versions
from benchmarks.tick import (
    APPLIED,
    DAY,
    MIDNIGHT,
    bodies_of,
    lead,
    main,
    measure_apart,
    peak_mib,
    write_all,
)
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.profile import make_bins, merge_all, profile_rows
from mlreg.controller.services import tick as ticking
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

POLICIES, FEATURES, ROWS, DAYS = 1_000, 8, 4_800, 28
TARGETS = {
    "longest_tick_seconds": ("<=", 20.0),
    "waiting_tick_seconds": ("<=", 1.0),
    "measured_tick_seconds": ("<=", 1.0),
    "peak_mib": ("<=", 500.0),
}
_CONTRACT = """
    INSERT INTO contract (digest, kind, body)
    VALUES (:contract, 'feature', CAST(:document AS jsonb))
"""
_BINS = "INSERT INTO contract_bins (contract, body, created_at) VALUES (:contract, :bins, :at)"
_VERSIONS = "UPDATE version SET feature_contract = :contract"
_REFERENCES = """
    INSERT INTO reference_profile (model_id, version, contract, body, source, labels)
    SELECT id, 1, :contract, :trained, 'training', '' FROM model
"""
_HOURS = """
    INSERT INTO window_profile (model_id, contract, version, start, rows, body)
    SELECT id, :contract, 1, hour.at, :rows / 24, :hour
    FROM model, generate_series(CAST(:first AS timestamptz), :midnight - interval '1 hour',
                                interval '1 hour') AS hour (at)
"""
_DAYS = """
    INSERT INTO rolled_profile (model_id, contract, version, width, start, rows, body)
    SELECT id, :contract, 1, 'day', day.at, :rows, :day
    FROM model, generate_series(CAST(:oldest AS timestamptz), :first, interval '1 day') AS day (at)
"""
_MEASURED = """
    INSERT INTO reading (model_id, environment, monitor, subject, start, "end", value, rows, state,
                         created_at)
    SELECT id, 'production', 'labelled', '', :start, CAST(:start AS timestamptz) + interval '1 day',
           1000, 1000, 'final', now()
    FROM model
"""


class Ticked(NamedTuple):
    """What a tick took and did; the processor time is the controller's."""

    seconds: float
    cpu_seconds: float
    windows: int
    judged: int


def build(database: Database, policies: int) -> None:
    """Write models, champions, policies, and the profiles of what was logged."""
    names = seed_versions(database.url, policies, policies, prefix="m").names
    features = [{"name": f"f{number}", "dtype": "float"} for number in range(FEATURES)]
    contract = FeatureContract.from_json(features)
    rng = np.random.default_rng(7)
    trained = _rows(rng, ROWS, "label")
    bins = make_bins(trained, contract)
    hour = profile_rows(_rows(rng, ROWS // 24, "score"), bins)
    yesterday = MIDNIGHT - DAY
    values: Mapping[str, object] = {
        "at": MIDNIGHT - 20 * DAY,
        "names": list(names),
        "bodies": bodies_of(names),
        "due": MIDNIGHT,
        "midnight": MIDNIGHT,
        "memory": json.dumps(PolicyMemory(yesterday, yesterday - DAY, yesterday).to_json()),
        "contract": contract.digest,
        "document": json.dumps(contract.to_document()),
        "bins": bins.to_bytes(),
        "rows": ROWS,
        "trained": profile_rows(trained, bins).to_bytes(),
        "hour": hour.to_bytes(),
        "day": merge_all([hour] * 24).to_bytes(),
        "first": yesterday,
        "oldest": yesterday - DAYS * DAY,
    }
    logged = (_CONTRACT, _BINS, _VERSIONS, _REFERENCES, _HOURS, _DAYS)
    write_all(database, (*APPLIED, *logged), values)


def _rows(rng: np.random.Generator, rows: int, answered: str) -> dict[str, NDArray[np.float64]]:
    columns = {f"f{number}": rng.normal(number, 1 + number, rows) for number in range(FEATURES)}
    return {**columns, answered: rng.beta(2, 5, rows)}


def measure_midnight(url: str) -> dict[str, float]:
    """Tick as a controller does until all windows are read; return what that took."""
    database = Database(url)
    read = [_ticked(database)]
    while read[-1].windows:
        read.append(_ticked(database))
    waiting = read.pop()
    with database.writing() as session:
        for statement in (_MEASURED, "DELETE FROM job"):
            session.execute(text(statement), {"start": MIDNIGHT - 2 * DAY})
    measured = _ticked(database)
    database.dispose()
    windows = sum(one.windows for one in read) / 1e3
    return {
        "thousands_of_windows": windows,
        "ticks": float(len(read)),
        "longest_tick_seconds": max(one.seconds for one in read),
        "seconds_per_1000_windows": sum(one.seconds for one in read) / windows,
        "cpu_seconds_per_1000_windows": sum(one.cpu_seconds for one in read) / windows,
        "waiting_tick_seconds": waiting.seconds,
        "waiting_tick_cpu_seconds": waiting.cpu_seconds,
        "measured_tick_seconds": measured.seconds,
        "measured_tick_cpu_seconds": measured.cpu_seconds,
        "judged_as_measured": float(measured.judged),
        "peak_mib": peak_mib(),
    }


def _ticked(database: Database) -> Ticked:
    reign, now = lead(database), MIDNIGHT + timedelta(minutes=1)
    began, cpu = time.perf_counter(), time.process_time()
    done = ticking.tick(database, now=now, reign=reign)
    if done.failed:
        sys.exit(f"the tick failed: {done.failed[0]}")
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    return Ticked(seconds, spent, done.windows, done.judged)


def measure(policies: int = POLICIES) -> dict[str, float]:
    """Return every number; the ticks are of a process of their own."""
    return measure_apart("midnight", lambda database: build(database, policies))


if __name__ == "__main__":
    main(measure_midnight, measure, TARGETS)
