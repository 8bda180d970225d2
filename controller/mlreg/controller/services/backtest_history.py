"""A model's past in memory, by time: what a backtest replays.

What always holds: rows are in order of time; a row is found by its place; a label is known from its
own time on, and a row that never had one trains and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlreg.client.scoring.encoding import encode
from mlreg.controller.domain.batches import LABEL, TIME
from mlreg.controller.domain.metrics import Floats, Integers
from mlreg.controller.feedback.joins import LABEL_TIME
from mlreg.controller.services.logged_rows import floats
from mlreg.controller.trainers.rows import groups_of, weights_of
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval

Times = NDArray[np.datetime64]
NO_TIME = np.iinfo(np.int64).min
"""What numpy reads as not-a-time."""


@dataclass(frozen=True, eq=False)
class History:
    """The rows of a model.

    Attributes:
        table: as they were logged, with labels; columns that selections and gates may name.
        matrix: as a model reads them, float64 (rows, features).
        codes: of category features, where missing and unseen are told apart.
        times: datetime64[us], UTC, ascending.
        labels: NaN where none came.
        known_at: when each label was known; of no meaning without one.
        groups: of a ranking, the group of each row.
    """

    target: TargetContract
    contract: FeatureContract
    table: pa.Table
    matrix: Floats
    codes: Mapping[str, NDArray[np.int32]]
    times: Times
    labels: Floats
    known_at: Times
    weights: Floats | None = None
    groups: Integers | None = None

    @classmethod
    def of(cls, table: pa.Table, target: TargetContract, contract: FeatureContract) -> History:
        """Return the history that logged rows make; they are in order of time.

        Raises:
            ColumnError: a row breaks the contract.
            TrainingRowsError: a weight is negative or not finite.
        """
        encoded = encode(contract.to_document(), table)
        times = _times(table, TIME)
        known = _times(table, LABEL_TIME) if LABEL_TIME in table.column_names else times
        return cls(
            target=target,
            contract=contract,
            table=table,
            matrix=encoded.matrix,
            codes=encoded.codes,
            times=times,
            labels=floats(table, LABEL),
            known_at=np.where(np.isnat(known), times, known),
            weights=weights_of(table),
            groups=groups_of(table, target),
        )

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows ever had a label."""
        return np.isfinite(self.labels)

    @property
    def first(self) -> datetime:
        """The time of the oldest row."""
        return datetime.fromtimestamp(int(self.times[0].astype(np.int64)) / 1e6, UTC)

    def part(self, window: Interval) -> slice:
        """Return the places of the rows of a window."""
        bounds = [stamp(window.start), stamp(window.end)]
        first, end = np.searchsorted(self.times, bounds)
        return slice(int(first), int(end))

    def trainable(self, window: Interval, labels_until: datetime) -> Integers:
        """Return the places of a window's rows whose label was known by then."""
        part = self.part(window)
        places: Integers = np.flatnonzero(self.known_by(part, labels_until)) + part.start
        return places

    def known_by(self, part: slice, moment: datetime) -> NDArray[np.bool_]:
        """Return which labels of some rows were known at a moment."""
        found: NDArray[np.bool_] = self.labelled[part] & (self.known_at[part] <= stamp(moment))
        return found

    def columns(self, places: Integers | slice) -> dict[str, NDArray[np.generic]]:
        """Return the features of some rows as profiles count them."""
        return {
            name: self.codes[name][places] if name in self.codes else self.matrix[places, place]
            for place, name in enumerate(self.contract.names)
        }

    def weights_at(self, places: Integers | slice) -> Floats:
        """Return the weights of some rows, 1 where none was said."""
        if self.weights is None:
            return np.ones(len(self.labels[places]))
        return self.weights[places]


def stamp(moment: datetime) -> np.datetime64:
    """Return a moment as rows have it."""
    return np.datetime64(int(moment.timestamp() * 1e6), "us")


def _times(table: pa.Table, column: str) -> Times:
    numbers = pc.fill_null(table[column].cast(pa.int64()), NO_TIME)
    times: Times = numbers.to_numpy().view("datetime64[us]")
    return times
