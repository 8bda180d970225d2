"""`mlreg monitor`: what is watched.

In tables `~` marks a value whose labels are still awaited (it is corrected for their delay), `≈`
one that was estimated before any, and `*` one that was measured again since.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from mlreg.cli.commands.explanation import explain, explanation
from mlreg.cli.forms import moment
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.monitors import ReadingAnswer

app = typer.Typer(add_completion=False)
app.command("explain")(explain)
app.command("explanation")(explanation)

Model = Annotated[str, typer.Argument(help="The model.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
OVERVIEW = ("rows", "score_mean", "labelled_share", "auc", "log_loss", "rmse", "skill_log_loss")
INSTEAD = {name: f"estimated_{name}" for name in ("auc", "log_loss", "rmse")}
"""What the overview shows while there is no value."""
AGAIN = "*"
MARKS = {"immature": "~", "estimate": "≈"}
LEGEND = {
    "~": "~ labels are awaited: corrected for their delay",
    "≈": "≈ estimated before labels: blind to a change of what the features mean",
    AGAIN: "* measured again since, with labels that came late",
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
        found = client.monitors.readings(
            model,
            env,
            monitor=monitor or None,
            subject=feature or None,
            after=client.clock.get().now - timedelta(days=days + 1),
        )
    table = _one_monitor(found) if monitor or feature else _overview(found)
    show(found, text=_legend(found), table=table)


@app.command("post")
def post(
    model: Model,
    name: Annotated[str, typer.Argument(help="The business metric, e.g. revenue.")],
    value: Annotated[float, typer.Argument(help="A number.")],
    at: Annotated[str, typer.Option(help="What time it is about; now unless given.")] = "",
    key: Annotated[str, typer.Option(help="What makes it one value; its time unless given.")] = "",
    env: Environment = "production",
) -> None:
    """Post a value of a business metric; windows show it as `business:NAME`."""
    with open_client() as client:
        time = moment(at, "--at") if at else client.clock.get().now
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
        name
        for name in OVERVIEW
        if any(name in window or INSTEAD.get(name) in window for window in windows.values())
    ]
    rows = [
        (start, *(_newest(window, name) for name in shown)) for start, window in windows.items()
    ]
    spare = ("rmse", "skill_log_loss", "labelled_share")
    return Table(("window", *shown), rows, "no window was read yet", spare)


def _one_monitor(found: list[ReadingAnswer]) -> Table:
    rows = [
        (
            f"{one.start:%Y-%m-%d %H:%M}",
            one.monitor,
            one.subject,
            _bounded(one),
            one.rows,
            one.state,
        )
        for one in found
    ]
    headers = ("window", "monitor", "feature", "value", "rows", "state")
    return Table(headers, rows, "no readings", ("state", "monitor"))


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
    mark, again = MARKS.get(one.state, ""), AGAIN if _is_again(one) else ""
    return f"{mark}{one.value:.5g}{again}" if mark or again else one.value


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
    return "\n".join(line for mark, line in LEGEND.items() if mark in marks) or None
