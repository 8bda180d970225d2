"""Ten invariants over one million rows: what a training snapshot or a window's job pays for them.

`python -m benchmarks.invariants` makes the rows in memory, with one in a thousand broken by each
invariant, and checks them as a run does. Seconds are the best of three, in one process; memory
is the peak of the process, the rows and their making included.
"""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from benchmarks.report import report
from mlreg.controller.domain.invariants.file import InvariantFile, read_invariants
from mlreg.controller.domain.invariants.rows import Rows

ROWS = 1_000_000
ENTITIES = 50_000
TARGETS = {
    "ten_invariants_seconds": ("<=", 1.0),
    "ten_invariants_rows_per_second": (">=", 1_000_000),
    "peak_memory_mb": ("<=", 1_024),
}
START = datetime(2026, 1, 1, tzinfo=UTC)
FILE = """
model: taxis
invariants:
  - {name: distance-known, not_null: distance, at_most: 0.01}
  - {name: distance-positive, range: distance, above: 0, at_most: 0.01}
  - {name: speed-sane, range: speed, min: 0, max: 200, at_most: 0.01}
  - {name: load-mean, mean: load, equals: 1, within: 0.01}
  - {name: code, matches: carrier, pattern: "[A-Z]{2}[0-9]?", at_most: 0.01}
  - {name: carriers, in_set: carrier, values: [AA, UA, DL, B6], at_most: 0.01}
  - {name: begins-first, relation: "begin <= end", at_most: 0.01}
  - {name: way, relation: "distance == speed * hours", relative: 0.001, at_most: 0.01}
  - {name: odometer-rises, monotone: odometer, direction: rising, at_most: 0.01}
  - {name: one-ticket, unique: ticket, per: entity, at_most: 0.01}
"""


def made_rows(count: int = ROWS, seed: int = 1) -> pa.Table:
    """Return rows of which about one in a thousand breaks each invariant."""
    rng = np.random.default_rng(seed)
    broken = {name: rng.random(count) < 0.001 for name in ("distance", "code", "end", "odometer")}
    entity = rng.integers(0, ENTITIES, count)
    speed, hours = rng.uniform(5, 120, count), rng.uniform(0.1, 3, count)
    begin = rng.integers(0, 86_400, count)
    carriers = np.where(broken["code"], "zz", rng.choice(["AA", "UA", "DL", "B6"], count))
    return pa.table(
        {
            "prediction_id": pa.array(np.char.add("p", np.arange(count).astype(str))),
            "time": pa.array(
                np.datetime64(START.replace(tzinfo=None), "us")
                + np.sort(
                    rng.integers(0, int(timedelta(days=1) / timedelta(microseconds=1)), count)
                ),
                pa.timestamp("us", tz="UTC"),
            ),
            "entity": pa.array(np.char.add("car-", entity.astype(str))),
            "distance": np.where(broken["distance"], -1.0, speed * hours),
            "speed": speed,
            "hours": hours,
            "load": rng.normal(1, 0.5, count),
            "carrier": carriers,
            "begin": begin,
            "end": np.where(broken["end"], begin - 1, begin + 60),
            "odometer": np.where(broken["odometer"], 0, np.arange(count)),
            "ticket": rng.integers(0, 2**40, count),
        }
    )


def check(file: InvariantFile, table: pa.Table) -> int:
    """Check every invariant, and return how many rows break one."""
    rows = Rows(table)
    return sum(one.check(rows).broken for one in file.invariants)


def measure() -> dict[str, float]:
    """Return the figures."""
    file, table = read_invariants(FILE), made_rows()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        broken = check(file, table)
        seconds.append(time.perf_counter() - began)
    assert broken > 3_000, broken
    found = {
        "ten_invariants_seconds": min(seconds),
        "ten_invariants_rows_per_second": ROWS / min(seconds),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for one in file.invariants:
        rows, began = Rows(table), time.perf_counter()
        one.check(rows)
        found[f"{one.name}_seconds"] = time.perf_counter() - began
    return found


if __name__ == "__main__":
    report(measure, TARGETS)
