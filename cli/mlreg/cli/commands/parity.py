"""`mlreg parity`: does a version say offline what it said online?"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Annotated

import typer

from mlreg.cli.forms import find_moment, form
from mlreg.cli.options import TIME, Environment, Model
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH, Table
from mlreg.client.errors import InvalidError
from mlreg.client.states import became
from mlreg.client.wire.parity import ParityFound, ParityRequest, Scores, Skew


def parity(
    model: Model,
    version: Annotated[
        int | None, typer.Option(help="This version; else the champion.", min=1)
    ] = None,
    env: Environment = "production",
    window: Annotated[
        str | None, typer.Option(metavar=TIME, help="A day (UTC). [default: yesterday]")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar=TIME, help="With --window: its end.")] = None,
    offline: Annotated[
        Path | None,
        typer.Option(help="A Parquet file of features by prediction_id, to compare with."),
    ] = None,
    rows: Annotated[int, typer.Option(help="At most so many rows.")] = 20_000,
    tolerance: Annotated[float, typer.Option(help="What is still the same.")] = 1e-6,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what is found.")] = False,
) -> None:
    """Score logged predictions again with the stored version; compare scores and features."""
    if until is not None and window is None:
        raise InvalidError("--until goes with --window", code="invalid_option")
    with open_client() as client:
        request = form(
            ParityRequest,
            environment=env,
            version=version,
            start=find_moment(window, "--window"),
            end=find_moment(until, "--until"),
            rows=rows,
            tolerance=tolerance,
            offline=None if offline is None else client.parity.upload(offline),
        )
        asked = client.parity.check(model, request)
        if not wait:
            show(asked, text=f"replay {asked.number} {became(asked.state)}")
            return
        with progress(f"replay {asked.number}"):
            found = client.parity.wait(asked.number)
    show(found, text=_found(found), table=_table(found))


def _found(found: ParityFound) -> str:
    title = (
        f"version {found.version}, {found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC:"
    )
    if found.share is None:
        return f"{title} nothing to replay"
    apart = f", by up to {found.largest:.3g}" if found.largest else ""
    share = f"{found.differ:,} of {found.rows:,} rows ({found.share:.2%})"
    lines = [title, f"{share} score differently{apart}"]
    if found.examples:
        examples = f"the furthest apart: {' '.join(found.examples)}"
        lines.append(fill(examples, WIDTH, break_long_words=False, break_on_hyphens=False))
    if found.skew is not None:
        sides = {"online": found.online, "offline": found.offline}
        whole = {**sides, "with offline features": found.skew.scores}
        lines += [_words(f"{found.value} {name}", scores) for name, scores in whole.items()]
        lines.append(f"{found.skew.rows:,} of them are in the offline table")
    return "\n".join(lines) + "\n"


def _words(name: str, scores: Scores | None) -> str:
    if scores is None or scores.p50 is None:
        return f"{name}: no scores"
    return f"{name} p50 {scores.p50:.4g} p99 {scores.p99:.4g}"


def _table(found: ParityFound) -> Table:
    if found.skew is not None:
        return _skew(found.skew)
    sides = [("online", found.online), ("offline", found.offline)]
    headers = ("scores" if found.value == "score" else found.value, "mean", "p50", "p99")
    return Table(headers, [_scores(*side) for side in sides])


def _scores(name: str, scores: Scores | None) -> tuple[object, ...]:
    if scores is None:
        return (name, None, None, None)
    return (name, scores.mean, scores.p50, scores.p99)


def _skew(skew: Skew) -> Table:
    rows = [
        (
            one.feature,
            one.differ,
            one.rows,
            f"{one.share:.2%}",
            one.mean_difference,
            one.score_shift,
        )
        for one in skew.features
    ]
    headers = ("feature", "differ", "rows", "share", "mean difference", "score shift")
    return Table(headers, rows, "no feature to compare", spare=("mean difference",))
