"""Profile bins: into which counted bins each column of a feature contract falls.

Made once, at the contract's first training, and never changed, so that profiles of any two windows
of the contract can be added and compared. Three scales: `grid` (unions of cells of the fine grid,
see `grid.py`: fast), `edges` (any edges, found by bisection: for columns whose quantiles the grid
cannot tell apart, and for the score) and `codes` (a category's codes, and false/true).

What always holds: edges rise strictly; a value belongs to the bin whose lower edge it reaches;
the first and the last bin of a number are underflow and overflow, empty in the rows they were made
from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain import grid
from mlreg.registry.domain.digests import canonical_json, digest_of

if TYPE_CHECKING:
    from mlreg.registry.domain.contracts import Feature, FeatureContract

Scale = Literal["grid", "edges", "codes"]
Columns = Mapping[str, "NDArray[np.generic]"]

FORMAT = 1
BINS = 20
EVEN_BINS = 16
TAILS = np.array([0.001, 0.005, 0.01, 0.025])
RESOLVED = 0.95
NEAR = np.array([1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02])
"""Further edges of probabilities, so far from 0 and from 1: where one of a thousand is positive,
nearly all scores lie below the first of twenty equal bins."""
LEAST_UNIT = 1e-30
LARGEST = float(np.finfo(np.float64).max)
MAX_DISTINCT = 32
NULL_CODE = -1
UNSEEN_CODE = -2
SCORE = "score"


@dataclass(frozen=True, eq=False)
class ColumnBins:
    """The bins of one column.

    Attributes:
        marks: `grid`: ranks of the cells at which bins begin; `edges`: the edges themselves;
            `codes`: empty.
        size: how many bins there are (of codes: how many codes).
        center, unit: the zero and the unit of the grid, and of the moments on every scale.
        default: what a broken source delivers, as a number or a code; None if nothing is known.
    """

    name: str
    scale: Scale
    marks: NDArray[np.float64]
    size: int
    center: float = 0.0
    unit: float = 1.0
    default: float | None = None
    categories: tuple[str, ...] = ()

    @cached_property
    def folded(self) -> NDArray[np.intp] | None:
        """The bin of each cell of the grid; None on other scales. Half a megabyte, so made late."""
        return grid.folding(self.marks.astype(np.intp)) if self.scale == "grid" else None

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """The inner edges as values; one fewer than there are bins, none for codes."""
        if self.scale != "grid":
            return self.marks
        with np.errstate(over="ignore"):
            edges = self.center + self.unit * grid.lower_bound(self.marks.astype(np.intp))
        return np.clip(edges, -LARGEST, LARGEST)

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "scale": self.scale,
            "marks": [float(mark) for mark in self.marks],
            "size": self.size,
            "center": self.center,
            "unit": self.unit,
            "default": self.default,
            "categories": list(self.categories),
        }


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of every feature of a contract, in its order, and of the score, last."""

    columns: tuple[ColumnBins, ...]

    def __post_init__(self) -> None:
        sizes = [column.size for column in self.columns]
        object.__setattr__(self, "offsets", np.concatenate([[0], np.cumsum(sizes)]).astype(int))
        object.__setattr__(self, "places", {c.name: i for i, c in enumerate(self.columns)})
        object.__setattr__(self, "digest", digest_of(self.to_bytes()))

    offsets: NDArray[np.intp] = field(init=False)
    places: Mapping[str, int] = field(init=False)
    digest: str = field(init=False)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, without the score."""
        return tuple(column.name for column in self.columns if column.name != SCORE)

    def fit(self, contract: FeatureContract) -> bool:
        """Whether they are bins of this contract: its columns, and of categories all of them."""
        known = {column.name: column.categories for column in self.columns}
        return self.features == contract.names and all(
            known[feature.name] == feature.categories
            for feature in contract.features
            if feature.dtype == "category"
        )

    def to_bytes(self) -> bytes:
        """Return the canonical JSON form."""
        return canonical_json({"format": FORMAT, "columns": [c.to_json() for c in self.columns]})

    @classmethod
    def from_bytes(cls, raw: bytes) -> Bins:
        """Read what `to_bytes` wrote."""
        return cls(tuple(_column_from_json(form) for form in json.loads(raw)["columns"]))


def make_bins(rows: Columns, contract: FeatureContract) -> Bins:
    """Cut bins of about equal counts from the rows of a first training.

    Args:
        rows: features as numbers (not-a-number is missing), categories as codes (-1 is missing,
            -2 unseen); `score`, or `label` in its place, where no probability is answered.
        contract: names, order, categories and defaults.
    """
    features = [_feature_bins(feature, rows[feature.name]) for feature in contract.features]
    return Bins((*features, _score_bins(rows)))


def number_bins(name: str, values: NDArray[np.float64], default: float | None) -> ColumnBins:
    """Cut bins at quantiles and at equal distances, or one per value where there are at most 32.

    The quantiles make small changes of shares visible; the equal distances keep every bin narrow,
    so that a distance can be read off it. The grid's zero is the median, or the number zero where
    that tells more of the edges apart.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) == 0:
        known = np.array([0.0])
    median, unit = _center_and_unit(known)
    wanted = _wanted_edges(known)
    for center in (median, 0.0):
        ranks = np.unique(_ranks(wanted, center, unit))
        if len(ranks) >= RESOLVED * len(wanted):
            top = _ranks(np.array([known.max()]), center, unit) + 1
            marks = np.unique(np.append(ranks, top)).astype(np.float64)
            return _number_bins(name, "grid", marks, (center, unit), default)
    with np.errstate(over="ignore"):  # there is nothing above the largest number
        marks = np.unique(np.append(wanted, np.nextafter(known.max(), np.inf)))
    return _number_bins(name, "edges", marks[np.isfinite(marks)], (median, unit), default)


def _ranks(values: NDArray[np.float64], center: float, unit: float) -> NDArray[np.intp]:
    return grid.rank(grid.cells_of(values, center, unit))


def probability_edges() -> NDArray[np.float64]:
    """Return the inner edges of the bins of a probability: twenty equal ones, finer at the ends."""
    even = np.linspace(0.0, 1.0, BINS + 1)[:-1]
    return np.unique(np.concatenate([even, NEAR, 1.0 - NEAR, [np.nextafter(1.0, 2.0)]]))


def _feature_bins(feature: Feature, values: NDArray[np.generic]) -> ColumnBins:
    if feature.dtype == "category":
        categories = feature.categories or ()
        default = None
        if isinstance(feature.default, str) and feature.default in categories:
            default = float(categories.index(feature.default))
        return _code_bins(feature.name, categories, default)
    default = None if feature.default is None else float(feature.default)
    if feature.dtype == "bool":
        return _code_bins(feature.name, ("false", "true"), default)
    return number_bins(feature.name, values.astype(np.float64), default)


def _code_bins(name: str, categories: tuple[str, ...], default: float | None) -> ColumnBins:
    return ColumnBins(
        name=name,
        scale="codes",
        marks=np.empty(0),
        size=len(categories),
        default=default,
        categories=categories,
    )


def _score_bins(rows: Columns) -> ColumnBins:
    """Return the bins of [0, 1] for probabilities, else bins of equal counts."""
    values = np.asarray(rows.get(SCORE, rows.get("label", np.empty(0))), dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) and (values.min() < 0.0 or values.max() > 1.0):
        return number_bins(SCORE, values, None)
    return _number_bins(SCORE, "edges", probability_edges(), (0.5, 1.0), None)


def _center_and_unit(known: NDArray[np.float64]) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        low, center, high = np.quantile(known, [0.25, 0.5, 0.75])
        units = (high - low) / 2.0, float(np.std(known)), abs(float(center))
    for unit in units:
        if np.isfinite(unit) and unit > LEAST_UNIT:
            return float(center), float(unit)
    return float(center), 1.0


def _wanted_edges(known: NDArray[np.float64]) -> NDArray[np.float64]:
    distinct = np.unique(known)
    if len(distinct) <= MAX_DISTINCT:
        return distinct
    shares = np.concatenate([np.linspace(0.0, 1.0, BINS + 1)[:-1], TAILS, 1.0 - TAILS])
    with np.errstate(over="ignore", invalid="ignore"):  # from the lowest number to the largest
        low, high = np.quantile(known, [TAILS[0], 1.0 - TAILS[0]])
        even = np.linspace(low, high, EVEN_BINS + 1)
        edges = np.concatenate([np.quantile(known, shares), even])
    return np.unique(edges[np.isfinite(edges)])


def _number_bins(
    name: str,
    scale: Scale,
    marks: NDArray[np.float64],
    zero_and_unit: tuple[float, float],
    default: float | None,
) -> ColumnBins:
    return ColumnBins(
        name=name,
        scale=scale,
        marks=marks,
        size=len(marks) + 1,
        center=zero_and_unit[0],
        unit=zero_and_unit[1],
        default=default,
    )


def _column_from_json(form: Mapping[str, object]) -> ColumnBins:
    categories = tuple(str(category) for category in _sequence(form["categories"]))
    default = None if form["default"] is None else _number(form["default"])
    name, scale = str(form["name"]), form["scale"]
    if scale == "codes":
        return _code_bins(name, categories, default)
    marks = np.array([_number(mark) for mark in _sequence(form["marks"])])
    zero_and_unit = _number(form["center"]), _number(form["unit"])
    known: Scale = "grid" if scale == "grid" else "edges"
    return _number_bins(name, known, marks, zero_and_unit, default)


def _sequence(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(value)
    return float(value)
