"""`mlreg monitor`: what is watched."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.monitors import ReadingAnswer

app = typer.Typer(add_completion=False)

Model = Annotated[str, typer.Argument(help="The model.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
OVERVIEW = ("rows", "score_mean", "labelled_share", "auc", "log_loss", "rmse", "skill_log_loss")


@app.command("show")
def show_readings(
    model: Model,
    env: Environment = "production",
    monitor: Annotated[str, typer.Option(help="One monitor, window by window.")] = "",
    feature: Annotated[str, typer.Option(help="Of this feature only.")] = "",
    days: Annotated[int, typer.Option(help="The windows of so many last days.", min=1)] = 14,
) -> None:
    """Show the readings of the last windows: an overview, or one monitor."""
    with open_client() as client:
        found = client.monitors.readings(
            model,
            env,
            monitor=monitor or None,
            subject=feature or None,
            after=client.clock.get().now - timedelta(days=days + 1),
        )
    show(found, table=_one_monitor(found) if monitor or feature else _overview(found))


def _overview(found: list[ReadingAnswer]) -> Table:
    windows: dict[str, dict[str, ReadingAnswer]] = {}
    for one in found:
        if not one.subject:
            windows.setdefault(f"{one.start:%Y-%m-%d %H:%M}", {})[one.monitor] = one
    shown = [name for name in OVERVIEW if any(name in window for window in windows.values())]
    rows = [
        (start, *(_cell(window.get(name)) for name in shown)) for start, window in windows.items()
    ]
    return Table(("window", *shown), rows, "no window was read yet")


def _one_monitor(found: list[ReadingAnswer]) -> Table:
    rows = [
        (f"{one.start:%Y-%m-%d %H:%M}", one.monitor, one.subject, one.value, one.rows, one.state)
        for one in found
    ]
    return Table(("window", "monitor", "feature", "value", "rows", "state"), rows, "no readings")


def _cell(one: ReadingAnswer | None) -> object:
    if one is None:
        return None
    return one.value if one.value is not None else one.state
