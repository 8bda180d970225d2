"""A window's performance: its label join, AUC and log loss, with intervals, over a million rows.

`python -m benchmarks.performance` stores a day of 1 M predictions and their labels as segments in a
folder, then times what the job `measure` does with them: read and join, AUC and log loss with their
intervals (400 draws of 24 hours), and apart from that all other metrics. It also times what a
window costs that is estimated from its profile alone, which has no rows.
"""

from __future__ import annotations

import io
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.report import report
from mlreg.controller.domain.bootstrap import draw_blocks
from mlreg.controller.domain.confidence import DRAWS, interval_of, window_blocks
from mlreg.controller.domain.estimation import ScoreCounts, estimate, middles_of
from mlreg.controller.domain.metrics import Rows, bounds_of, measure
from mlreg.controller.domain.outcomes import EVEN_EDGES, bin_scores, binary_outcomes
from mlreg.controller.domain.performance import measure_window
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.segments import arrived, make_segment
from mlreg.controller.services.labelled_rows import RowShape, labelled_rows
from mlreg.controller.services.snapshots import read_snapshot
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services.uploads import send_blob

ROWS = 1_000_000
PARTS = 4
START = datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TARGETS = {
    "join_auc_log_loss_1m_seconds": ("<=", 1.5),
    "all_metrics_1m_seconds": ("<=", 3.0),
    "estimate_from_profile_ms": ("<=", 20.0),
}


def logged(rows: int) -> tuple[pa.Table, pa.Table]:
    """Return a day of predictions, and of their labels an hour later."""
    rng = np.random.default_rng(0)
    first = int(START.timestamp() * 1e6)
    times = first + np.arange(rows) * int(DAY.total_seconds() * 1e6 / rows)
    scores = rng.random(rows)
    ids = pa.array([f"{number:016x}" for number in range(rows)])
    kind = pa.timestamp("us", tz="UTC")
    predictions = pa.table(
        {
            "prediction_id": ids,
            "time": pa.array(times, kind),
            "version": pa.array(np.ones(rows, dtype=np.int32)),
            "score": scores,
            "entity": pa.nulls(rows, pa.string()),
        }
    )
    labels = pa.table(
        {
            "prediction_id": ids,
            "time": pa.array(times + 3_600_000_000, kind),
            "label": (rng.random(rows) < scores).astype(float),
            "weight": pa.nulls(rows, pa.float64()),
        }
    )
    return predictions, labels


def stored(store: FolderStore, rows: int) -> SnapshotBody:
    """Store the rows as segments, and return what selects them."""
    digests: dict[str, list[str]] = {"predictions": [], "labels": []}
    size = rows // PARTS
    for kind, table in zip(("predictions", "labels"), logged(rows), strict=True):
        for number in range(PARTS):
            part = arrived(number + 1, table.slice(number * size, size))
            segment = make_segment(kind, [part])
            digests[kind].append(send_blob(store, io.BytesIO(segment.content)).digest)
    return SnapshotBody(
        model="flights",
        predictions=tuple(digests["predictions"]),
        labels=tuple(digests["labels"]),
        range=Interval(START, START + DAY),
        labels_until=START + 3 * DAY,
        max_label_delay=3 * DAY,
    )


def measure_all() -> dict[str, float]:
    """Return the seconds of a measured window, and the milliseconds of an estimated one."""
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        body = stored(store, ROWS)
        shape = RowShape("binary", 2)
        began = time.perf_counter()
        window = labelled_rows(shape, read_snapshot(store, body, shape.columns)).window
        blocks, count = window_blocks(window.times)
        rows = Rows(window.labels, window.weights, blocks, count)
        draws = draw_blocks(count, DRAWS, np.random.default_rng(0))
        for metric in ("auc", "log_loss"):
            interval_of(measure(metric, rows, window.scores), draws, bounds_of(metric))
        joined = time.perf_counter() - began
        began = time.perf_counter()
        measure_window("binary", window, np.random.default_rng(0))
        every = time.perf_counter() - began
    return {
        "join_auc_log_loss_1m_seconds": joined,
        "all_metrics_1m_seconds": every,
        "estimate_from_profile_ms": 1000 * estimated_seconds(window.labels, window.scores),
    }


def estimated_seconds(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the seconds in which a month of matured windows makes an estimate of the next."""
    parts = np.array_split(np.arange(len(labels)), 28)
    history = [binary_outcomes(labels[part], scores[part], EVEN_EDGES, 0.5) for part in parts]
    counts = np.bincount(bin_scores(scores, EVEN_EDGES), minlength=len(EVEN_EDGES) + 1)
    window = ScoreCounts(counts[None], middles_of(EVEN_EDGES))
    began = time.perf_counter()
    estimate(history, window, np.random.default_rng(0))
    return time.perf_counter() - began


if __name__ == "__main__":
    report(measure_all, TARGETS)
