"""Rare slices count for more: `{stratified: [carrier], least: 500}`."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from typing_extensions import override

from mlreg.controller.domain.border import said
from mlreg.controller.domain.selections.selection import (
    Candidates,
    Chosen,
    Past,
    Selection,
    SelectionError,
)


class Stratified(Selection):
    """The rows of `train_window`, evened out over the values of some columns.

    A slice is one combination of values. Of one with more than `most` rows, `most` are drawn by lot
    and count for all of it. One with fewer than `least` counts as if it had `least`, but no row
    more than `times` times: upsampling by weight, which repeats no row. A missing value is a value.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [{"anyOf": [said("least", is_a="integer"), said("most", is_a="integer")]}]
        }
    )
    kind: ClassVar[str] = "stratified"
    stratified: tuple[str, ...] = Field(
        min_length=1, max_length=5, json_schema_extra={"uniqueItems": True}
    )
    least: int | None = Field(default=None, ge=1)
    most: int | None = Field(default=None, ge=1)
    times: float = Field(default=10.0, gt=1, le=1_000)

    @model_validator(mode="after")
    def _evens_out(self) -> Self:
        if self.least is None and self.most is None:
            message = "needs `least`, `most`, or both"
            raise ValueError(message)
        if self.least is not None and self.most is not None and self.most < self.least:
            message = "`most` must not be below `least`"
            raise ValueError(message)
        if len(set(self.stratified)) < len(self.stratified):
            message = "a column stands there twice"
            raise ValueError(message)
        return self

    @property
    @override
    def columns(self) -> tuple[str, ...]:
        """The columns whose values make the slices."""
        return self.stratified

    @override
    def choose(self, rows: Candidates, past: Past) -> Chosen:
        """Draw from the slices that are large, and weigh those that are small."""
        missing = [name for name in self.stratified if name not in rows.columns]
        if missing:
            cause = f"cuts by {missing[0]!r}, which the rows do not have"
            raise SelectionError(selection=self.kind, cause=cause)
        codes = np.stack([rows.columns[name] for name in self.stratified], axis=1)
        _, of_row, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        of_row = of_row.reshape(-1)
        places = self._drawn(of_row, sizes, rows)
        kept = sizes if self.most is None else np.minimum(sizes, self.most)
        meant = sizes if self.least is None else np.maximum(sizes, self.least)
        factors = np.where(sizes < meant, np.minimum(meant / kept, self.times), sizes / kept)
        return Chosen(places, factors[of_row[places]].astype(np.float64))

    def _drawn(
        self,
        of_row: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
        sizes: object,
        rows: Candidates,
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        """Return the places of the rows with the lowest lots of each slice, ascending."""
        if self.most is None:
            return np.arange(len(rows))
        order = np.lexsort((rows.times, rows.hashes, of_row))
        counts = np.asarray(sizes)
        starts = np.cumsum(counts) - counts
        rank = np.arange(len(rows)) - starts[of_row[order]]
        return np.sort(order[rank < self.most])
