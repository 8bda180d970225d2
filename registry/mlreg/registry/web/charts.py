"""Loss curves as charts: numbers for inline SVG, drawn without a script or a style.

Series of one metric (the last word of their names: `train auc`, `valid auc`) share a chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlreg.registry.domain.curves import Curve, Point

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 26
COLOURS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, its place among the colours, its points in the drawing."""

    name: str
    colour: int
    points: str
    last: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing: a title, its lines, and what stands at the ends of its axes."""

    title: str
    lines: Sequence[Line]
    low: str
    high: str
    first: str
    end: str


def charts_of(curves: Iterable[Curve]) -> list[Chart]:
    """Return one chart for each metric, in the order of the curves."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.name.rpartition(" ")[2], []).append(curve)
    return [_chart(title, group) for title, group in groups.items()]


def _chart(title: str, curves: Sequence[Curve]) -> Chart:
    low, high = min(one.least for one in curves), max(one.greatest for one in curves)
    first = min(one.points[0][0] for one in curves)
    end = max(one.points[-1][0] for one in curves)
    frame = (first, end, low, high)
    lines = [
        Line(
            name=curve.name,
            colour=place % COLOURS,
            points=" ".join(_placed(point, frame) for point in curve.points),
            last=f"{curve.last:.4g}",
        )
        for place, curve in enumerate(curves)
    ]
    return Chart(title, lines, f"{low:.4g}", f"{high:.4g}", f"{first:g}", f"{end:g}")


def _placed(point: Point, frame: tuple[float, float, float, float]) -> str:
    first, end, low, high = frame
    across = _share(point[0], first, end) * (WIDTH - LEFT - RIGHT)
    up = _share(point[1], low, high) * (HEIGHT - TOP - BOTTOM)
    return f"{LEFT + across:.1f},{HEIGHT - BOTTOM - up:.1f}"


def _share(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others, the middle where these are one."""
    width = high / 2 - low / 2  # halves: the difference of two floats may be beyond all floats
    return 0.5 if width <= 0 else (value / 2 - low / 2) / width
