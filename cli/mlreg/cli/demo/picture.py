"""The picture: log loss over the year, static against controlled, with every revision marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")  # without a screen; to be said before pyplot is imported

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mlreg.cli.demo.document import Document
    from mlreg.cli.demo.ledger import Year

SMOOTH_DAYS = 7
DAY_SECONDS = 86_400
STATIC, CONTROLLED, ALARM, OUTAGE = "#9a9a9a", "#1f6feb", "#d1242f", "#bf8700"


def draw(year: Year, document: Document, file: Path) -> None:
    """Write the picture as PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(11, 4.6), dpi=110, layout="constrained")
    days = year.days
    for name, scored, colour in (
        ("static January model", year.static, STATIC),
        ("controlled by mlreg", year.controlled, CONTROLLED),
    ):
        axes.plot(*_smooth(days, scored.losses), color=colour, label=name, linewidth=1.8)
    _mark_revisions(axes, document)
    _mark_troubles(axes, document)
    axes.set_ylabel(f"log loss, mean of {SMOOTH_DAYS} days")
    axes.set_title(_title(document), loc="left", fontsize=11)
    months = np.unique(year.months)
    names = [f"{month.astype(object):%b}" for month in months]
    axes.set_xticks(months.astype("datetime64[D]").astype(np.float64).tolist(), labels=names)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    figure.savefig(file)
    plt.close(figure)


def _smooth(
    days: NDArray[np.datetime64], losses: NDArray[np.float64]
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Return each day with the mean loss per row of the week that ends with it."""
    unique, place = np.unique(days, return_inverse=True)
    window = np.ones(SMOOTH_DAYS)
    sums = np.convolve(np.bincount(place, losses), window)[: len(unique)]
    counts = np.convolve(np.bincount(place), window)[: len(unique)]
    return unique, sums / counts


def _title(document: Document) -> str:
    static, controlled = document.static.log_loss, document.controlled.log_loss
    return (
        "Late flights out of New York, 2013: "
        f"log loss {static:.4f} static, {controlled:.4f} controlled"
    )


def _mark_revisions(axes: Axes, document: Document) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))
    foot = low - 0.03 * (high - low)
    for causes, marker, colour, name in (
        ({"promote", "policy"}, "|", CONTROLLED, "promoted"),
        ({"rollback", "guard"}, "v", ALARM, "rolled back"),
    ):
        at = [_place(one.at) for one in document.revisions if one.cause in causes]
        if at:
            axes.plot(at, [foot] * len(at), marker, color=colour, label=name, markersize=8)


def _mark_troubles(axes: Axes, document: Document) -> None:
    outage, rollback = document.outage, document.rollback
    spans = []
    if outage is not None:
        spans.append((outage.start, outage.end, OUTAGE, "no weather feed"))
    if rollback is not None:
        spans.append((rollback.promoted_at, rollback.restored_at, ALARM, "bad model, forced"))
    for start, end, colour, name in spans:
        axes.axvspan(_place(start), _place(end), color=colour, alpha=0.2, linewidth=0, label=name)


def _place(moment: datetime) -> float:
    """Return where a moment lies on matplotlib's axis of time: in days since 1970."""
    return moment.timestamp() / DAY_SECONDS
