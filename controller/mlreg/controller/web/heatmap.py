"""Drift as a heat map: features by windows, a cell for each effect size, drawn without a script.

The darker a cell, the larger the size; what is unusual for the stream has a ring and a dot. Colours
follow the size, which means the same for every stream, and rings the verdict, which does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.web.links import feature_link
from mlreg.controller.web.texts import shortened

if TYPE_CHECKING:
    from mlreg.controller.services.drift import DriftReport
    from mlreg.controller.services.rollups import Width

STEPS: Mapping[str, tuple[float, ...]] = {
    "psi": (0.02, 0.05, 0.1, 0.2),
    "jensen_shannon": (0.05, 0.1, 0.15, 0.25),
    "wasserstein": (0.05, 0.1, 0.25, 0.5),
    "ks": (0.03, 0.06, 0.1, 0.2),
    "cramers_v": (0.03, 0.06, 0.1, 0.2),
}
"""Where a darker colour begins, by effect size."""
LEFT, TOP, RIGHT, BOTTOM = 168, 26, 8, 6
ROOM = 850
LEAST_CELL, MOST_CELL = 11, 34
ROW = 24
GAP = 2
TICK_ROOM: Mapping[str, int] = {"hour": 72, "day": 46, "week": 46}
MOST_FEATURES = 40
MOST_LETTERS = 20
FORMS: Mapping[str, str] = {"hour": "%d. %H:00", "day": "%m-%d", "week": "%m-%d"}
SAID: Mapping[str, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "week": "week of %Y-%m-%d"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One effect size: where it stands, how dark it is (None: not defined), what it says."""

    x: int
    y: int
    step: int | None
    unusual: bool
    said: str
    href: str


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a row, or the time of a column."""

    x: int
    y: int
    text: str
    full: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The whole drawing, and the same as a table.

    Attributes:
        cell: the width of a cell, and its height.
        bounds: what each colour begins at, as text, the lightest first.
        left_out: features that are not drawn, the least drifted ones.
        columns, table: the windows, and a row for each feature: its name, and its sizes as texts.
    """

    width: int
    height: int
    cell: tuple[int, int]
    features: Sequence[Label]
    times: Sequence[Label]
    cells: Sequence[Cell]
    bounds: Sequence[str]
    left_out: int
    columns: Sequence[str]
    table: Sequence[tuple[str, Sequence[str]]]


Verdicts = Mapping[tuple[datetime, str], str | None]


def heat_map(
    place: tuple[str, str], report: DriftReport, verdicts: Verdicts, size: str, width: Width
) -> HeatMap:
    """Place the effect sizes of some windows: the unusual and most drifted features on top.

    Args:
        place: the model and the environment.
        report: the effect sizes.
        verdicts: those of the windows, by start and feature.
        size: which effect size.
        width: how long windows are.
    """
    model, environment = place
    starts, series = report.starts, _series(report, size)
    order = sorted(series, key=lambda name: _strength(name, series[name], verdicts))[::-1]
    shown = order[:MOST_FEATURES]
    across = max(LEAST_CELL, min(MOST_CELL, ROOM // max(len(starts), 1)))
    cells = [
        _cell(
            Label(LEFT + number * across, TOP + row * ROW, name, f"{start:{SAID[width]}}"),
            series[name][number],
            (verdicts.get((start, name)) == "unusual", size),
            feature_link(model, name, start, width, environment=environment),
        )
        for row, name in enumerate(shown)
        for number, start in enumerate(starts)
    ]
    return HeatMap(
        width=LEFT + across * len(starts) + RIGHT,
        height=TOP + ROW * len(shown) + BOTTOM,
        cell=(across - GAP, ROW - GAP),
        features=[
            Label(
                LEFT - 10,
                TOP + row * ROW + ROW // 2,
                shortened(name, MOST_LETTERS),
                name,
                feature_link(model, name, environment=environment),
            )
            for row, name in enumerate(shown)
        ],
        times=_times(starts, across, width),
        cells=cells,
        bounds=[f"{bound:g}" for bound in (0.0, *STEPS[size])],
        left_out=len(order) - len(shown),
        columns=[f"{start:{FORMS[width]}}" for start in starts],
        table=[(name, [_text(value) for value in series[name]]) for name in shown],
    )


def _series(report: DriftReport, size: str) -> dict[str, list[float | None]]:
    """Return one size of every column that has it in some window."""
    found = {name: report.matrix.series(size, name) for name in report.matrix.columns}
    return {
        name: values for name, values in found.items() if any(one is not None for one in values)
    }


def _strength(
    name: str, values: Sequence[float | None], verdicts: Verdicts
) -> tuple[int, float, str]:
    unusual = sum(
        1 for (_, feature), verdict in verdicts.items() if feature == name and verdict == "unusual"
    )
    return unusual, max((value for value in values if value is not None), default=0.0), name


def _cell(at: Label, value: float | None, told: tuple[bool, str], href: str) -> Cell:
    unusual, size = told
    step = None if value is None else sum(value >= bound for bound in STEPS[size])
    said = f"{at.text}, {at.full}: {size} {_text(value)}{', unusual' if unusual else ''}"
    return Cell(at.x, at.y, step, unusual, said, href)


def _times(starts: Sequence[datetime], across: int, width: Width) -> list[Label]:
    """Label every so many columns, so that no two labels touch."""
    every = -(-TICK_ROOM[width] // across)
    return [
        Label(LEFT + place * across, TOP - 9, f"{start:{FORMS[width]}}", f"{start:{SAID[width]}}")
        for place, start in enumerate(starts)
        if place % every == 0
    ]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"  # noqa: RUF001 - a dash stands for nothing
