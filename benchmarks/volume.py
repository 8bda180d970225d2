"""What logged rows cost as they grow from 10 thousand to 50 million: per row, and per window.

`python -m benchmarks.volume --up-to 50000000 --picture FILE` makes, for each volume, a model whose
week of 168 hours has that many predictions of 20 features. The rows are made up and handed to the
log's own services in batches of 50,000, not over HTTP (that is `benchmarks.feedback`); PostgreSQL
runs with fsync, and segments go to a folder. It prints, for each volume, the processor time of the
drain per row, that of a report of the week from stored profiles per window, and the memory of the
process, and draws them. 50 million rows take about 12 GB of disk; a million is the default.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
from matplotlib.figure import Figure

from benchmarks.report import line
from mlreg.cli.migrations import upgrade
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import APP, OWNER, make_database, make_roles
from mlreg.controller.domain.drift import effect_sizes
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.feedback import accept
from mlreg.controller.services.profiles import ensure_bins, merged_profile, window_profiles
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.database import Database
from mlreg.registry.store.tables import Contract, Model, Version
from tests.feedback_makers import make_model
from tests.makers import make_version

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLUMES = (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)
FEATURES = [{"name": f"feature_{number}", "dtype": "float"} for number in range(20)]
BATCH_ROWS = 50_000
DRAIN_ROWS = 500_000
HOURS = 168
START = datetime(2013, 6, 1, tzinfo=UTC)
NOW = START + timedelta(hours=HOURS)
PICTURE = "docs/images/volume.png"
TARGETS = {
    "drain_rows_per_second": (">=", 300_000.0),
    "report_growth": ("<=", 1.5),
    "drain_growth": ("<=", 1.25),
    "memory_growth_megabytes": ("<=", 256.0),
}


@dataclass(frozen=True, slots=True)
class Point:
    """What one volume cost."""

    rows: int
    drain_microseconds_per_row: float
    drain_rows_per_second: float
    report_milliseconds_per_window: float
    megabytes: float


def batches(rows: int) -> Iterator[pa.Table]:
    """Yield a week of rows in the order of time, a batch at a time."""
    rng = np.random.default_rng(0)
    first, step = int(START.timestamp() * 1e6), HOURS * 3_600_000_000 / rows
    for begin in range(0, rows, BATCH_ROWS):
        size = min(BATCH_ROWS, rows - begin)
        numbers = np.arange(begin, begin + size)
        columns = {
            "prediction_id": pa.array([f"{number:016x}" for number in numbers]),
            "time": pa.array((first + step * numbers).astype(np.int64), pa.timestamp("us", "UTC")),
            "version": pa.array(np.ones(size, np.int32)),
            "score": pa.array(rng.random(size)),
        }
        values = {one["name"]: pa.array(rng.normal(size=size)) for one in FEATURES}
        yield pa.table({**columns, **values})


def prepare(database: Database, name: str) -> tuple[Model, str]:
    """Return a model with a version whose contract has bins, so that drains write profiles."""
    made = make_model(database, name=name, features=FEATURES)
    contract = FeatureContract.from_json(FEATURES)
    with database.writing() as session:
        ensure_bins(session, contract, next(batches(BATCH_ROWS)), now=START)
        model = session.get(Model, made.id)
        session.merge(Contract(digest=contract.digest, kind="feature", body=contract.to_document()))
        make_version(session, model, 1)
        session.get(Version, (made.id, 1)).feature_contract = contract.digest
        return model, contract.digest


def measure(database: Database, store: FolderStore, rows: int) -> Point:
    """Log a volume, drain it as it comes, and report on its week."""
    model, contract = prepare(database, f"rows-{rows}")
    waiting, cpu, wall = 0, 0.0, 0.0
    for number, batch in enumerate(batches(rows)):
        with database.writing() as session:
            accept(session, model, "predictions", f"b{number}", batch, now=NOW)
        waiting += batch.num_rows
        if waiting >= DRAIN_ROWS or (number + 1) * BATCH_ROWS >= rows:
            began, clock = time.process_time(), time.perf_counter()
            drain_model(database, store, model.id, now=NOW)
            cpu, wall = cpu + time.process_time() - began, wall + time.perf_counter() - clock
            waiting = 0
    return Point(
        rows,
        cpu / rows * 1e6,
        rows / wall,
        report_seconds(database, model, contract) / HOURS * 1e3,
        psutil.Process().memory_info().rss / 2**20,
    )


def report_seconds(database: Database, model: Model, contract: str) -> float:
    """Return the processor time of all effect sizes of the week's 168 windows, best of five."""
    found = []
    for _ in range(5):
        began = time.process_time()
        with database.reading() as session:
            hours = window_profiles(session, model.id, contract, START, NOW)
        reference = merged_profile(hours)
        for hour in hours:
            effect_sizes(reference, hour.profile)
        found.append(time.process_time() - began)
    return min(found)


def growth(points: list[Point]) -> dict[str, float]:
    """Return what the largest volume costs against the first that fills a round of the drain."""
    large = [point for point in points if point.rows >= DRAIN_ROWS] or points[-1:]
    return {
        "drain_rows_per_second": large[-1].drain_rows_per_second,
        "report_growth": points[-1].report_milliseconds_per_window
        / points[0].report_milliseconds_per_window,
        "drain_growth": large[-1].drain_microseconds_per_row / large[0].drain_microseconds_per_row,
        "memory_growth_megabytes": large[-1].megabytes - large[0].megabytes,
    }


def draw(points: list[Point], path: Path) -> None:
    """Draw the costs over the volumes."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    curves = (
        ("drain: µs of processor per row", "drain_microseconds_per_row"),
        ("report: ms of processor per window", "report_milliseconds_per_window"),
        ("memory after it: MB", "megabytes"),
    )
    for axis, (title, name) in zip(axes, curves, strict=True):
        axis.plot([p.rows for p in points], [getattr(p, name) for p in points], "o-")
        axis.set(xscale="log", title=title, xlabel="rows logged")
        axis.set_ylim(bottom=0)
        axis.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=110)


def run(folder: Path, up_to: int, *, tell: bool) -> list[Point]:
    """Measure every volume in a folder of its own."""
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    try:
        make_roles(server)
        make_database(server, "volume")
        upgrade(server.url("volume", OWNER))
        database, store = Database(server.url("volume", APP)), FolderStore(folder / "artifacts")
        points = []
        for rows in (volume for volume in VOLUMES if volume <= up_to):
            points.append(measure(database, store, rows))
            if tell:
                print(" ".join(f"{k}={v:,.3f}" for k, v in asdict(points[-1]).items()), flush=True)
        database.dispose()
        return points
    finally:
        server.stop()


def main() -> None:
    """Measure every volume, print, and draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--up-to", type=int, default=1_000_000, metavar="ROWS")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"for example {PICTURE}")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlreg-volume-") as folder:
        points = run(Path(folder), asked.up_to, tell=not asked.json)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {**growth(points), "peak_megabytes": peak}
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(line(name, value, TARGETS.get(name)))
    if asked.picture:
        draw(points, asked.picture)


if __name__ == "__main__":
    main()
