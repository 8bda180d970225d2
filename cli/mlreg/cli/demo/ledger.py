"""Both models' scores of the year, beside the labels.

What always holds: the rows are those of the feedback log, joined by the server; the controlled
scores are those that were logged when the flights were served, whichever version served then; the
static scores are of the same rows, by prediction id.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlreg.cli.demo.scores import Scored

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from mlreg.client.client import Client

COLUMNS = ["prediction_id", "time", "score", "label"]


@dataclass(frozen=True)
class Year:
    """Labelled rows in order of time, scored by both models.

    Attributes:
        times: datetime64[us], UTC, of the predictions.
    """

    times: NDArray[np.datetime64]
    static: Scored
    controlled: Scored

    @property
    def days(self) -> NDArray[np.datetime64]:
        """The day of each row."""
        return self.times.astype("datetime64[D]")

    @property
    def months(self) -> NDArray[np.datetime64]:
        """The month of each row."""
        return self.times.astype("datetime64[M]")


@dataclass
class Ledger:
    """The static model's scores, day by day, as the demo makes them."""

    ids: list[pa.ChunkedArray] = field(default_factory=list)
    scores: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, ids: pa.ChunkedArray, scores: NDArray[np.float64]) -> None:
        """Keep a day's scores."""
        self.ids.append(ids)
        self.scores.append(scores)

    def close(self, client: Client, model: str, start: datetime, end: datetime) -> Year:
        """Read the year back from the feedback log and put the static scores beside it."""
        snapshot = client.snapshots.create(model, start, end)
        with tempfile.TemporaryDirectory(prefix="mlreg-demo-") as folder:
            file = Path(folder) / "year.parquet"
            client.snapshots.export(snapshot.digest, file)
            rows = pq.read_table(file, columns=COLUMNS)
        rows = rows.filter(pc.is_valid(rows["label"]))
        labels = rows["label"].to_numpy()
        return Year(
            times=rows["time"].to_numpy(),
            static=Scored(labels, self._static_scores(rows["prediction_id"])),
            controlled=Scored(labels, rows["score"].to_numpy()),
        )

    def _static_scores(self, ids: pa.ChunkedArray) -> NDArray[np.float64]:
        known = pa.chunked_array([chunk for day in self.ids for chunk in day.chunks])
        places = pc.index_in(ids, value_set=known.combine_chunks())
        scores: NDArray[np.float64] = np.concatenate(self.scores)[places.to_numpy()]
        return scores
