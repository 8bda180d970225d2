"""Drift reports: from stored profiles, from raw Parquet, and what others take for the same rows.

`python -m benchmarks.drift` stores the hourly profiles of 50 features in PostgreSQL and times, in
process: the report of a week (168 windows) and of 1,000 windows (load, decode, merge, every effect
size of every feature), and the same window by window. The profiles stand for a hundred million
rows; how many makes no difference but for the width of the counts. Then it times reading and
profiling 1,000,000 x 50 raw rows of a Parquet file in a process of its own, with its peak memory.

With `make drift-rivals` done, the same rows go to Evidently's default drift preset (100,000 of
them, for all would take minutes; its ratio is against 100,000 rows of ours), to NannyML's
univariate drift, fitted before, and to scipy's two-sample KS. Ratios compare what each needs from a
Parquet file to a report.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks.report import report
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.controller.domain.bins import Bins, make_bins
from mlreg.controller.domain.drift import effect_sizes, yardstick_of
from mlreg.controller.domain.profile import Profile, profile_rows
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.columns import profile_table
from mlreg.controller.feedback.parquet_profile import profile_file
from mlreg.controller.services.rollups import load_stack
from mlreg.controller.store.profiles import keep_bins, keep_windows
from mlreg.controller.store.tables import WindowProfile
from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.services.catalog import ModelSpecification, create_model, id_of
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
FEATURES = [f"feature_{number:02}" for number in range(50)]
CONTRACT = FeatureContract.from_json([{"name": name, "dtype": "float"} for name in FEATURES])
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS, FEWER_ROWS = 1_000_000, 100_000
ROWS_PER_HOUR = 100_000
TARGETS = {
    "report_168_windows_ms": ("<=", 20.0),
    "report_1000_windows_ms": ("<=", 100.0),
    "matrix_168_windows_ms": ("<=", 20.0),
    "matrix_1000_windows_ms": ("<=", 100.0),
    "parquet_1m_by_50_seconds": ("<=", 0.5),
    "parquet_1m_by_50_peak_mib": ("<=", 1_024.0),
    "times_faster_than_evidently": (">=", 400.0),
    "times_faster_than_fitted_nannyml": (">=", 5.0),
    "times_faster_than_scipy_ks": (">=", 20.0),
}


def rows_of(count: int, seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Return made-up rows; every second feature is heavy-tailed."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(shift, 1.0, count) if number % 2 else rng.lognormal(shift, 0.7, count)
        for number, name in enumerate(FEATURES)
    }


def best(work: Callable[[], object], times: int = 7) -> float:
    """Return the seconds of the fastest of some runs."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def store_windows(database: Database, bins: Bins, windows: int) -> tuple[int, str]:
    """Store the profiles of so many hours, each of a hundred thousand rows; return whose."""
    hours = [profile_rows(rows_of(2_000, seed, 0.1 * (seed % 3)), bins) for seed in range(24)]
    factor = ROWS_PER_HOUR // 2_000
    bodies = [
        Profile(
            bins,
            one.rows * factor,
            one.counts * factor,
            one.tallies * factor,
            one.sums * factor,
            one.extremes,
        ).to_bytes()
        for one in hours
    ]
    target = TargetContract.from_json({"task": "binary"})
    with database.writing() as session:
        model = create_model(session, ModelSpecification("b", target), actor=SYSTEM, now=START)
        log = (id_of(model), CONTRACT.digest)
        keep_bins(session, CONTRACT.digest, bins.to_bytes(), START)
        for first in range(0, windows, 200):
            keep_windows(
                session,
                [
                    WindowProfile(
                        model_id=log[0],
                        contract=CONTRACT.digest,
                        version=1,
                        start=START + number * HOUR,
                        rows=ROWS_PER_HOUR,
                        body=bodies[number % 24],
                    )
                    for number in range(first, min(first + 200, windows))
                ],
            )
    return log


def measure_stored() -> dict[str, float]:
    """Return the milliseconds of reports and of matrices from stored profiles."""
    reference_rows = rows_of(50_000, 1_000)
    bins = make_bins(reference_rows, CONTRACT)
    reference = profile_rows(reference_rows, bins)
    folder = Path(tempfile.mkdtemp(prefix="mlreg-drift-"))
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    try:
        upgrade(server.url())
        database = Database(server.url())
        log = store_windows(database, bins, 1_000)
        found = {}
        for windows in (168, 1_000):
            within = Interval(START, START + windows * HOUR)

            def merged(within: Interval = within) -> None:
                with database.reading() as session:
                    loaded = load_stack(session, log, bins, "hour", within)
                effect_sizes(reference, loaded.stack.merged())

            def matrix(within: Interval = within) -> None:
                with database.reading() as session:
                    loaded = load_stack(session, log, bins, "hour", within)
                yardstick_of(reference).measure(loaded.stack)

            found[f"report_{windows}_windows_ms"] = 1e3 * best(merged)
            found[f"matrix_{windows}_windows_ms"] = 1e3 * best(matrix)
        database.dispose()
        return found
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def write_rows(folder: Path) -> None:
    """Write the files that ours and the others read, and what ours has made of the training."""
    reference = rows_of(50_000, 1)
    current = pa.table(rows_of(ROWS, 2, 0.05))
    parquet.write_table(pa.table(reference), folder / "reference.parquet")
    parquet.write_table(current, folder / "current.parquet")
    parquet.write_table(current.slice(0, FEWER_ROWS), folder / "fewer.parquet")
    bins = make_bins(reference, CONTRACT)
    (folder / "bins.bin").write_bytes(bins.to_bytes())
    profile = profile_table(pa.table(reference), bins)
    (folder / "reference.bin").write_bytes(profile.to_bytes())


def measure_raw(folder: Path) -> dict[str, float]:
    """Return seconds from raw Parquet to a report, and this process's peak memory."""
    bins = Bins.from_bytes((folder / "bins.bin").read_bytes())
    reference = Profile.from_bytes((folder / "reference.bin").read_bytes(), bins)

    def run(name: str) -> Callable[[], object]:
        return lambda: effect_sizes(reference, profile_file(folder / name, bins))

    seconds, fewer = best(run("current.parquet"), 5), best(run("fewer.parquet"), 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "fewer_seconds": fewer, "peak_mib": peak}


def measure() -> dict[str, float]:
    """Return every number; ratios where the others are installed."""
    found = measure_stored()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder)
        ours = _said([sys.executable, "-m", "benchmarks.drift", "--raw", name])
        found["parquet_1m_by_50_seconds"] = ours["seconds"]
        found["parquet_100k_by_50_seconds"] = ours["fewer_seconds"]
        found["parquet_1m_by_50_peak_mib"] = ours["peak_mib"]
        python = ROOT / ".drift" / "bin" / "python"
        if not python.exists():
            print("the others are not installed: make drift-rivals", file=sys.stderr)
            return found
        theirs = _said([str(python), str(ROOT / "benchmarks" / "rivals" / "drift.py"), name])
    pairs = {
        "evidently": ("evidently", "fewer_seconds"),
        "fitted_nannyml": ("nannyml", "seconds"),
        "scipy_ks": ("scipy", "seconds"),
    }
    for label, (key, own) in pairs.items():
        if key in theirs:
            found[f"{label}_seconds"] = theirs[key]
            found[f"times_faster_than_{label}"] = theirs[key] / ours[own]
    return found


def _said(command: list[str]) -> dict[str, float]:
    quiet = {**os.environ, "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=quiet
    )
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


if __name__ == "__main__":
    if "--raw" in sys.argv:
        print(json.dumps(measure_raw(Path(sys.argv[-1]))))
    else:
        report(measure, TARGETS)
