"""Replaying logged predictions: one child scores them all, as they are and with offline values.

What always holds: at most `MAX_SWAPPED` rows of each of at most `MAX_FEATURES` features are scored
again with the offline value, the ones of the features that differ most often.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlreg.controller.domain.batches import PREDICTION_ID, SCORE, SCORES
from mlreg.controller.domain.parity import (
    Distribution,
    FeatureSkew,
    Floats,
    distribution_of,
    largest_difference,
    score_differences,
    score_effect,
    scores_differ,
)
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.shares import Share
from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.executors.executor import Limits, ignore_lines
from mlreg.controller.services.logged_rows import floats
from mlreg.controller.services.replayed_rows import (
    Offline,
    Sample,
    Skewed,
    draw_scored,
    find_skew,
    read_offline,
)
from mlreg.controller.services.run_folder import (
    ChildCall,
    ModelSource,
    call_child,
    files_of,
    place_model,
    write_rows,
)
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.attempt import Attempt

ENTRY = "mlreg.controller.trainers.child:score"
LIMITS = Limits(wall_seconds=300.0, cpu_seconds=600)
ROLE, FILE = "replayed", "rows.parquet"
EXAMPLES = 5
MAX_FEATURES, MAX_SWAPPED = 20, 2_000
AT_MOST = {"parity": 0.001, "skew": 0.01}
"""A share that is surely above this is unusual."""


class OtherClassesError(RefusedError):
    """The version answers another number of scores for a row than the model has classes."""

    code = "other_classes"

    def __init__(self, *, number: int, answers: int, classes: int) -> None:
        super().__init__(
            f"version {number} answers {answers} score{'s' if answers != 1 else ''} for a row,"
            f" where the model has {classes}"
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """What is to be replayed.

    Attributes:
        classes: how many scores a row has; 1: one number.
        rows: at most so many, chosen by a hash of their ids and the seed.
        offline: the digest of an uploaded table, if there is one.
    """

    source: ModelSource
    body: SnapshotBody
    rows: int
    seed: int
    tolerance: float
    offline: str | None = None
    classes: int = 1

    @property
    def score(self) -> str:
        """The column of the scores."""
        return SCORE if self.classes == 1 else SCORES


@dataclass(frozen=True, slots=True)
class FoundSkew:
    """Features online against offline, on the predictions that both have.

    Attributes:
        unmatched: replayed predictions that the offline table does not have.
        unknown: its columns that are no feature.
        scores: with the offline values of all features that it has.
    """

    rows: int
    unmatched: int
    unknown: tuple[str, ...]
    features: tuple[FeatureSkew, ...]
    scores: Distribution


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found.

    Attributes:
        value: of what `online` and `offline` are distributions.
        examples: the ids of the rows that are furthest apart.
    """

    share: Share
    largest: float | None
    tolerance: float
    seed: int
    value: Literal["score", "confidence"]
    online: Distribution
    offline: Distribution
    examples: tuple[str, ...]
    skew: FoundSkew | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        form = asdict(self)
        return {**form.pop("share"), **form}

    def readings(self, window: Interval, subject: str = EVERYTHING) -> list[WindowReading]:
        """Return the readings of a window: `parity`, and `skew` by feature."""
        form = self.to_json()
        evidence = {name: form[name] for name in _EVIDENCE}
        found = [_reading("parity", subject, window, self.share, evidence)]
        if subject or self.skew is None or not self.skew.rows:
            return found
        return [*found, *(_skew_reading(one, window) for one in self.skew.features)]


_EVIDENCE = ("differ", "largest", "tolerance", "seed", "online", "offline", "examples")


def replay(attempt: Attempt, folder: Path, asked: Replay) -> Replayed | None:
    """Draw rows, score them again, and compare; None where there are none.

    Raises:
        InvalidRowsError, UnreadableBodyError: the offline table is none for this model.
        OtherClassesError: the version is none for this model.
        ChildRefusedError, ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    contract = asked.source.contract
    sample = Sample(asked.rows, asked.seed, asked.score)
    rows = draw_scored(attempt.store, asked.body, asked.source.number, sample, contract)
    if rows is None:
        return None
    offline: Offline | None = None
    skewed: list[Skewed] = []
    if asked.offline is not None:
        offline = read_offline(attempt.store, asked.offline, rows, contract)
        skewed = find_skew(rows, offline, asked.tolerance)
    parts = [rows.select(contract.names)]
    if offline is not None:
        parts += _swapped(parts[0], offline, skewed)
    again = _score(attempt, folder, asked.source, parts)
    logged = _scores(rows, asked.score)
    if again[0].shape[1:] != logged.shape[1:]:
        answers = again[0].size // len(again[0])
        raise OtherClassesError(number=asked.source.number, answers=answers, classes=asked.classes)
    return replace(
        _compared(rows, logged, again[0], asked),
        skew=None if offline is None else _found_skew(offline, skewed, again, asked.tolerance),
    )


def _compared(rows: pa.Table, logged: Floats, again: Floats, asked: Replay) -> Replayed:
    differ = scores_differ(logged, again, asked.tolerance)
    apart = np.where(differ, np.nan_to_num(score_differences(logged, again), nan=np.inf), -1.0)
    worst = np.argsort(-apart, kind="stable")[: min(EXAMPLES, int(differ.sum()))]
    return Replayed(
        share=Share.of(differ),
        largest=largest_difference(logged, again),
        tolerance=asked.tolerance,
        seed=asked.seed,
        value="score" if asked.classes == 1 else "confidence",
        online=distribution_of(logged),
        offline=distribution_of(again),
        examples=tuple(rows[PREDICTION_ID].take(pa.array(worst)).to_pylist()),
    )


def _swapped(rows: pa.Table, offline: Offline, skewed: Sequence[Skewed]) -> list[pa.Table]:
    """Return rows with all offline values, then, by feature, those whose value differs."""
    here = rows.take(pa.array(offline.places))
    every = here
    for name in offline.features:
        every = _with(every, name, offline.rows[name])
    parts = [every]
    for one in skewed[:MAX_FEATURES]:
        places = pa.array(_places(one))
        name = one.skew.feature
        parts.append(_with(here.take(places), name, offline.rows[name].take(places)))
    return parts


def _found_skew(
    offline: Offline, skewed: Sequence[Skewed], again: Sequence[Floats], tolerance: float
) -> FoundSkew:
    """Return the skew of every feature, with what it does to the score."""
    logged, every = again[0][offline.places], again[1]
    features = [one.skew for one in skewed]
    for place, one in enumerate(skewed[:MAX_FEATURES]):
        effect = score_effect(logged[_places(one)], again[2 + place], tolerance)
        features[place] = replace(features[place], **effect)
    return FoundSkew(
        rows=len(offline.places),
        unmatched=len(again[0]) - len(offline.places),
        unknown=offline.unknown,
        features=tuple(features),
        scores=distribution_of(every),
    )


def _score(
    attempt: Attempt, folder: Path, source: ModelSource, parts: Sequence[pa.Table]
) -> list[Floats]:
    """Return the scores of some tables of the same columns, scored in one child."""
    write_rows(folder, FILE, pa.concat_tables(parts))
    place_model(attempt.store, source, folder, ROLE)
    job: Mapping[str, Any] = {
        "format": 1,
        "data": [FILE],
        "models": [{"role": ROLE, **files_of(ROLE, source, attempt.commands)}],
    }
    call_child(attempt, folder, ChildCall(ENTRY, job, ignore_lines, LIMITS))
    scores = _scores(pq.read_table(folder / "scores.parquet"), ROLE)
    ends = np.cumsum([part.num_rows for part in parts])
    return np.split(scores, ends[:-1])


def _scores(rows: pa.Table, column: str) -> Floats:
    """Return the scores of rows that all have them: a number each, or one for each class."""
    if pa.types.is_floating(rows.schema.field(column).type):
        return floats(rows, column)
    lists = rows[column].combine_chunks()
    scores: Floats = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    return scores


def _places(one: Skewed) -> NDArray[np.int64]:
    return np.flatnonzero(one.differ)[:MAX_SWAPPED]


def _with(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    place = rows.column_names.index(name)
    return rows.set_column(place, rows.schema.field(place), values)


def _reading(
    monitor: str, subject: str, window: Interval, share: Share, evidence: Mapping[str, Any]
) -> WindowReading:
    most = AT_MOST[monitor]
    return WindowReading(
        monitor,
        subject,
        window.start,
        window.end,
        share.share,
        share.rows,
        low=share.low,
        high=share.high,
        verdict="unusual" if share.is_above(most) else "normal",
        evidence={**evidence, "at_most": most},
    )


def _skew_reading(one: FeatureSkew, window: Interval) -> WindowReading:
    share = Share(one.rows, one.differ, one.share, one.low, one.high)
    form = one.to_json()
    evidence = {name: form[name] for name in ("differ", "mean_difference", "score_shift")}
    return _reading("skew", one.feature, window, share, evidence)
