"""The picture of a backtest: metric against seconds of training, and what age costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError

try:
    import matplotlib as mpl

    mpl.use("Agg")  # without a screen; to be said before pyplot is imported
    from matplotlib import pyplot as plt
except ModuleNotFoundError as error:
    message = "--png needs matplotlib: pip install 'mlreg[demo]'"
    raise InvalidError(message, code="not_installed") from error

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from mlreg.client.wire.backtests import Backtested, BacktestedPolicy

FRONT, OTHER, ANCHOR = "#1f6feb", "#9a9a9a", "#d1242f"
NAMED = 12


def draw(model: str, found: Backtested, file: Path) -> None:
    """Write the picture as PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.6), dpi=110, layout="constrained", width_ratios=(2, 1)
    )
    _draw_frontier(left, found)
    _draw_age(right, found)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    days = f"{found.start:%Y-%m-%d} to {found.end:%Y-%m-%d}"
    figure.suptitle(f"{model}: {len(found.policies)} policies, {days}", x=0.01, ha="left")
    figure.savefig(file, format="png")
    plt.close(figure)


def _draw_frontier(axes: Axes, found: Backtested) -> None:
    for one in found.policies:
        value, colour = one.value, _colour(one)
        if value.low is not None and value.high is not None:
            axes.plot([one.train_seconds] * 2, [value.low, value.high], color=colour, alpha=0.2)
        axes.plot([one.train_seconds], [value.estimate], "o", color=colour, markersize=5)
    front = found.front
    axes.plot(
        [one.train_seconds for one in front],
        [one.value.estimate for one in front],
        color=FRONT,
        linewidth=1,
    )
    anchors = [one for one in found.policies if one.anchor and one not in front]
    for turn, one in enumerate([*front[:NAMED], *anchors]):
        place, by = (one.train_seconds, one.value.estimate), (4, -11 if turn % 2 else 4)
        axes.annotate(one.name, place, xytext=by, textcoords="offset points", fontsize=8)
    if max(one.train_seconds for one in found.policies) > 1.0:
        axes.set_xscale("symlog", linthresh=1.0)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("seconds of training (bars: 95 %)")
    axes.set_ylabel(f"{found.metric.replace('_', ' ')} of whichever model was live")


def _colour(one: BacktestedPolicy) -> str:
    if one.anchor:
        return ANCHOR
    return FRONT if one.pareto else OTHER


def _draw_age(axes: Axes, found: Backtested) -> None:
    axes.axhline(0.0, color=OTHER, linewidth=1)
    weeks = [one.weeks for one in found.freshness]
    axes.plot(weeks, [one.lost.estimate for one in found.freshness], "o-", color=FRONT)
    for one in found.freshness:
        if one.lost.low is not None and one.lost.high is not None:
            axes.plot([one.weeks] * 2, [one.lost.low, one.lost.high], color=FRONT, alpha=0.4)
    axes.set_xticks(weeks)
    axes.set_xlabel("weeks since trained")
    axes.set_ylabel("loss beyond that of a fresh model")
