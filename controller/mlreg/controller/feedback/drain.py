"""The drain's work without its transactions: waiting bytes to segments and hourly profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.controller.domain.batches import Kind
from mlreg.controller.feedback.columns import HourProfile, profile_hours
from mlreg.controller.feedback.segments import NewSegment, arrived, make_segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.domain.bins import Bins

MAX_ROUND_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class WaitingRows:
    """Bytes that wait (an Arrow stream): their number, kind, and the batches that they hold."""

    number: int
    kind: Kind
    body: bytes
    batches: Sequence[int]


@dataclass(frozen=True, slots=True)
class DrainedRows:
    """What becomes of some batches of one kind: one segment."""

    batches: tuple[int, ...]
    segment: NewSegment


def drain_rows(waiting: Sequence[WaitingRows]) -> list[DrainedRows]:
    """Return one segment for each kind of batch that waits."""
    kinds: tuple[Kind, ...] = ("predictions", "labels")
    drained = []
    for kind in kinds:
        batches = [batch for batch in waiting if batch.kind == kind]
        if batches:
            tables = [arrived(b.number, pa.ipc.open_stream(b.body).read_all()) for b in batches]
            segment = make_segment(kind, tables)
            drained.append(DrainedRows(tuple(i for b in batches for i in b.batches), segment))
    return drained


def drain_profiles(
    drained: Sequence[DrainedRows], bins: Mapping[str, Bins]
) -> dict[str, list[HourProfile]]:
    """Return contract → profiles of the predictions' hours, under each contract's bins."""
    predictions = [part.segment.table for part in drained if part.segment.kind == "predictions"]
    return {
        contract: [hour for table in predictions for hour in profile_hours(table, its_bins)]
        for contract, its_bins in bins.items()
    }


def versions_in(drained: Sequence[DrainedRows]) -> list[int]:
    """Return the versions that the drained predictions name."""
    found: set[int] = set()
    for part in drained:
        if part.segment.kind == "predictions":
            found.update(v for v in part.segment.table["version"].unique().to_pylist() if v)
    return sorted(found)
