"""`mlreg monitor`: what is watched.

In tables `~` marks a value whose labels are still awaited (it is corrected for their delay), `≈`
one that was estimated before any, `*` one that was measured again since, `!` one that is unusual.
"""

from __future__ import annotations

from datetime import timedelta
from textwrap import fill
from typing import Annotated

import typer

from mlreg.cli.commands.explanation import explain, explanation
from mlreg.cli.forms import find_moment
from mlreg.cli.options import TIME, Environment, Model
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH, Table
from mlreg.client.wire.monitors import ReadingAnswer

app = typer.Typer(add_completion=False)
app.command("explain")(explain)
app.command("explanation")(explanation)

OVERVIEW = ("rows", "score_mean", "labelled_share", "auc", "log_loss", "rmse", "skill_log_loss")
INSTEAD = {name: f"estimated_{name}" for name in ("auc", "log_loss", "rmse")}
"""What the overview shows while there is no value."""
HEADERS = ("window", "monitor", "feature", "value", "rows", "state", "verdict")
AGAIN = "*"
UNUSUAL = "!"
MARKS = {"immature": "~", "estimate": "≈"}
LEGEND = {
    "~": "~ labels are awaited: corrected for their delay",
    "≈": "≈ estimated before labels: blind to a change of what the features mean",
    AGAIN: "* measured again since, with labels that came late",
    UNUSUAL: "! unusual for this stream",
}


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
        after = client.clock.get().now - timedelta(days=days + 1)
        found = client.monitors.readings(
            model, env, monitor=monitor or None, subject=feature or None, after=after
        )
        others = found or client.monitors.readings(model, env, after=after)
    asked = {name for name, value in (("monitor", monitor), ("feature", feature)) if value}
    table = _one_by_one(found, asked, _empty(others)) if asked else _overview(found)
    show(found, text=_legend(found), table=table)


@app.command("post")
def post(
    model: Model,
    name: Annotated[str, typer.Argument(help="The business metric, e.g. revenue.")],
    value: Annotated[float, typer.Argument(help="A number.")],
    at: Annotated[
        str | None, typer.Option(metavar=TIME, help="What time it is about. [default: now]")
    ] = None,
    key: Annotated[str, typer.Option(help="What makes it one value; its time unless given.")] = "",
    env: Environment = "production",
) -> None:
    """Post a value of a business metric; windows show it as `business:NAME`."""
    with open_client() as client:
        time = find_moment(at, "--at") or client.clock.get().now
        answer = client.monitors.post_metric(
            model, name, time=time, value=value, environment=env, key=key or None
        )
    said = "was kept before" if answer.duplicate else "is kept"
    show(answer, text=f"{answer.monitor} of {time:%Y-%m-%d %H:%M} UTC {said}")


def _overview(found: list[ReadingAnswer]) -> Table:
    windows: dict[str, dict[str, ReadingAnswer]] = {}
    for one in found:
        if not one.subject:
            windows.setdefault(_start(one), {})[one.monitor] = one
    shown = [
        name for name in OVERVIEW if any(_is_known(window, name) for window in windows.values())
    ]
    rows = [
        (start, *(_newest(window, name) for name in shown)) for start, window in windows.items()
    ]
    spare = ("rmse", "skill_log_loss", "labelled_share")
    return Table(("window", *shown), rows, "no window was read yet", spare)


def _is_known(window: dict[str, ReadingAnswer], name: str) -> bool:
    """Whether a window says something of a monitor, be it only that its labels are awaited."""
    one = window.get(name)
    return INSTEAD.get(name) in window or (one is not None and one.state not in {"empty", "outage"})


def _one_by_one(found: list[ReadingAnswer], asked: set[str], empty: str) -> Table:
    """Return a reading a line, without the columns that were asked for by their one value."""
    rows = [
        {
            "window": _start(one),
            "monitor": one.monitor,
            "feature": one.subject,
            "value": _bounded(one),
            "rows": one.rows,
            "state": one.state,
            "verdict": one.verdict,
        }
        for one in found
    ]
    headers = [name for name in HEADERS if name not in asked]
    cells = [[row[name] for name in headers] for row in rows]
    return Table(headers, cells, empty, ("state",), {"value", "verdict"})


def _empty(others: list[ReadingAnswer]) -> str:
    """Say that there is no such reading, and which monitors there are."""
    names = sorted({one.monitor for one in others})
    there = f"; there are: {', '.join(names)}" if names else ""
    return fill(f"no readings{there}", WIDTH, break_on_hyphens=False)


def _newest(window: dict[str, ReadingAnswer], name: str) -> object:
    """Return the cell of a monitor, or of its estimate while it has no value."""
    one = window.get(name)
    if (one is None or one.value is None) and INSTEAD.get(name) in window:
        one = window[INSTEAD[name]]
    return _cell(one)


def _cell(one: ReadingAnswer | None) -> object:
    """Return a value with its mark, or the state that stands in its place."""
    if one is None:
        return None
    if one.value is None:
        return one.state
    before, behind = MARKS.get(one.state, ""), AGAIN if _is_again(one) else ""
    behind += UNUSUAL if one.verdict == "unusual" else ""
    return f"{before}{one.value:.5g}{behind}" if before or behind else one.value


def _bounded(one: ReadingAnswer) -> object:
    """Return a value with its mark and its interval of 95 %."""
    if one.value is None or one.low is None or one.high is None:
        return _cell(one)
    shown = _cell(one)
    value = shown if isinstance(shown, str) else f"{one.value:.5g}"
    return f"{value} [{one.low:.4g}, {one.high:.4g}]"


def _is_again(one: ReadingAnswer) -> bool:
    return bool((one.evidence or {}).get("history"))


def _start(one: ReadingAnswer) -> str:
    return f"{one.start:%Y-%m-%d %H:%M}"


def _legend(found: list[ReadingAnswer]) -> str | None:
    """Say what the marks of these readings mean, None if there are none."""
    valued = [one for one in found if one.value is not None]
    marks = {MARKS.get(one.state, "") for one in valued}
    marks |= {AGAIN for one in valued if _is_again(one)}
    marks |= {UNUSUAL for one in valued if one.verdict == "unusual"}
    return "\n".join(line for mark, line in LEGEND.items() if mark in marks) or None
