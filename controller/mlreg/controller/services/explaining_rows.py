"""Rows of a window as an explanation looks at them, and what is found in them.

What always holds: rows without a usable score are counted and left out; bins are the contract's, or
cut from these very rows where it was never trained here, and then kept nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlreg.client.redaction import redact_text
from mlreg.client.wire.explanations import Condition, ExplainedSlice, WorstRow
from mlreg.controller.domain.batches import (
    LABEL,
    PREDICTION_ID,
    SCORE,
    SCORES,
    TIME,
    VERSION,
    WEIGHT,
)
from mlreg.controller.domain.bins import make_bins
from mlreg.controller.domain.confidence import window_blocks
from mlreg.controller.domain.contrast import Floats, Sample
from mlreg.controller.domain.levels import Levels, category_levels, levels_of
from mlreg.controller.domain.mistakes import score_of
from mlreg.controller.feedback.columns import encoded, training_columns
from mlreg.controller.feedback.joins import chosen_columns
from mlreg.controller.services.labelled_rows import class_scores
from mlreg.controller.services.logged_rows import floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.controller.domain.bins import Bins
    from mlreg.controller.domain.blame import Blamed
    from mlreg.registry.domain.contracts import FeatureContract

    Moments = NDArray[np.datetime64]

PIECES = (
    (np.timedelta64(1, "D"), 12),
    (np.timedelta64(6, "h"), 12),
    (np.timedelta64(1, "h"), 12),
    (np.timedelta64(5, "m"), 12),
)
"""Blocks of rows that are alike: the longest of which there are twelve."""
MAX_VALUE_LETTERS = 80


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Rows that have a score.

    Attributes:
        scores: one per row; of a multiclass model one column per class.
        labels: not-a-number where there is none, or one that weighs nothing.
    """

    task: str
    table: pa.Table
    scores: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> ScoredRows:
        """The rows that have a label."""
        return self.where(np.isfinite(self.labels))

    @property
    def versions(self) -> NDArray[np.intp]:
        """The version that scored each row; 0: not said."""
        return np.asarray(pc.fill_null(self.table[VERSION], 0).to_numpy(), dtype=np.intp)

    def where(self, mask: NDArray[np.bool_]) -> ScoredRows:
        """Return some of the rows."""
        table = self.table.filter(mask)
        return ScoredRows(self.task, table, self.scores[mask], self.labels[mask])

    def sample(self, values: Floats) -> Sample:
        """Return one value per row, in blocks of time."""
        times: Moments = self.table[TIME].cast("int64").to_numpy().view("datetime64[us]")
        return Sample(values, *window_blocks(times, PIECES))


def scored_rows(task: str, classes: int, table: pa.Table) -> ScoredRows:
    """Return the rows of a joined table that have a score."""
    if task == "multiclass":
        table = chosen_columns(table, list(dict.fromkeys([*table.column_names, SCORES])))
        scores = class_scores(table, classes)
    else:
        scores = floats(table, SCORE)
    known = np.isfinite(scores.reshape(len(scores), -1).sum(axis=1))
    labels = np.where(floats(table, WEIGHT, missing=1.0) > 0.0, floats(table, LABEL), np.nan)
    return ScoredRows(task, table, scores, labels).where(known)


def bins_for(contract: FeatureContract, bins: Bins | None, rows: pa.Table) -> Bins:
    """Return the bins of a contract; where it has none yet, ones for this explanation alone."""
    return bins or make_bins(training_columns(rows, contract), contract)


def features_of(now: ScoredRows, before: ScoredRows | None, bins: Bins, least: int) -> list[Levels]:
    """Return every feature of the rows as levels, and the version, where there are several."""
    sides = [now] if before is None else [now, before]
    columns = [encoded(side.table, bins) for side in sides]
    found = [
        levels_of(column, np.concatenate([side[column.name] for side in columns]), least)
        for column in bins.columns
        if column.name in bins.features
    ]
    versions = np.concatenate([side.versions for side in sides])
    numbers, codes = np.unique(versions, return_inverse=True)
    if before is None and len(numbers) > 1:
        texts = [str(number) if number else "not said" for number in numbers]
        found.append(category_levels(VERSION, codes.astype(np.intp), texts, least))
    return [one for one in found if len(one)]


def slice_answer(blamed: Blamed, values: Floats, promised: Floats | None) -> ExplainedSlice:
    """Return a slice as it is kept and answered.

    Args:
        blamed: the slice.
        values: losses, or scores, of all rows that were searched.
        promised: the losses that the scores led to expect, where they did.
    """
    one = blamed.slice
    share, mean, rest = one.rows / len(values), one.mean, one.rest
    if blamed.kind == "wrong":  # it was searched by what is beyond the promise
        mean, rest = float(values[one.mask].mean()), float(values[~one.mask].mean())
    return ExplainedSlice(
        kind=blamed.kind,
        conditions=[Condition(feature=name, text=_short(text)) for name, text in one.conditions],
        rows=one.rows,
        share=share,
        mean=mean,
        rest=rest,
        before=one.before,
        rest_before=one.rest_before,
        promised=None if promised is None else float(promised[one.mask].mean()),
        excess=one.excess,
        low=one.low,
        lift=share * (mean - rest),
    )


def worst_rows(rows: ScoredRows, losses: Floats, most: int, show: list[str]) -> list[WorstRow]:
    """Return the rows with the largest losses, and the values of the features that are to be shown.

    Values are cut at `MAX_VALUE_LETTERS`, and what looks like a secret is redacted.
    """
    order = np.lexsort((np.arange(len(losses)), -losses))[:most]
    table, scores = rows.table.take(order), score_of(rows.task, rows.scores)
    shown = [name for name in show if name in table.column_names]
    return [
        WorstRow(
            prediction_id=form[PREDICTION_ID],
            time=_aware(form[TIME]),
            version=form[VERSION],
            score=float(scores[place]),
            label=float(rows.labels[place]),
            loss=float(losses[place]),
            features={name: _short(redact_text(_text(form[name]))) for name in shown},
        )
        for place, form in zip(order, table.to_pylist(), strict=True)
    ]


def _text(value: object) -> str:
    return (
        "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    )


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LETTERS else f"{text[: MAX_VALUE_LETTERS - 1]}…"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
