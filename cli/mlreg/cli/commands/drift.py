"""`mlreg drift`: how far features and scores have moved, window by window or in the rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from mlreg.cli.forms import find_moment
from mlreg.cli.options import TIME, Environment, Model
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError, NotFoundError
from mlreg.client.states import became
from mlreg.client.wire.drift import (
    CompareAnswer,
    CompareRequest,
    DriftAnswer,
    DriftMatrix,
    FeatureDrift,
    Question,
    Size,
    Width,
)

UNUSUAL = "*"
"""What marks an unusual value in a table."""


def drift(
    model: Model,
    env: Environment = "production",
    window: Annotated[
        str | None,
        typer.Option(metavar=TIME, help="The window that begins then (UTC); else the newest."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="So many last days, side by side.", min=1, max=400)
    ] = None,
    feature: Annotated[str, typer.Option(help="Of this feature, window by window.")] = "",
    by: Annotated[
        Width | None, typer.Option(help="The length of windows side by side. [default: day]")
    ] = None,
    size: Annotated[
        Size | None, typer.Option(help="What of windows side by side is shown. [default: psi]")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Test the rows: p-values.")] = False,
    joint: Annotated[
        bool, typer.Option("--joint", help="Tell the rows from the training's: an AUC.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --exact or --joint: its end.")] = False,
) -> None:
    """Show how far a window lies from the champion's training rows; * is unusual for the stream."""
    start = find_moment(window, "--window")
    series = bool(days or feature or by or size)
    if exact or joint:
        _check(not (days or by or size), "--exact and --joint are about one window's rows")
        request = CompareRequest(
            question=_question(exact=exact, joint=joint),
            environment=env,
            start=start,
            features=[feature] if feature else None,
        )
        _compare(model, request, wait=wait)
    elif series:
        _check(not window, "--window shows one window, --days and --feature the newest")
        _show_series(model, env, days, by, size, feature)
    else:
        _show_window(model, env, start)


def _question(*, exact: bool, joint: bool) -> Question:
    _check(not (exact and joint), "say --exact or --joint")
    return "exact" if exact else "joint"


def _show_series(
    model: str, env: str, days: int | None, by: Width | None, size: Size | None, feature: str
) -> None:
    with open_client() as client:
        found = client.drift.matrix(
            model,
            env,
            days=days or 14,
            width=by or "day",
            size=size or "psi",
            feature=feature or None,
        )
    show(found, text=_title(found), table=_one(found) if feature else _matrix(found))


def _show_window(model: str, env: str, start: datetime | None) -> None:
    with open_client() as client:
        answer = client.drift.show(model, env, window=start)
    if answer.start is None or answer.end is None:
        _check_found(answer, start)
        show(answer, text="no window was read yet")
        return
    title = f"{model} in {env}, {answer.start:%Y-%m-%d %H:%M} to {answer.end:%Y-%m-%d %H:%M} UTC\n"
    show(answer, text=title, table=_window(answer))


def _check(fits: bool, problem: str) -> None:
    if not fits:
        raise InvalidError(problem, code="invalid_option")


def _check_found(answer: DriftAnswer, start: datetime | None) -> None:
    if start is not None:
        raise NotFoundError(
            f"no window that was read begins at {start:%Y-%m-%d %H:%M} UTC",
            code="window_not_found",
            hint=f"`mlreg drift {answer.model} --days 14` shows the newest ones.",
        )


def _compare(model: str, request: CompareRequest, *, wait: bool) -> None:
    with open_client() as client:
        asked = client.drift.compare(model, request)
        if wait:
            with progress(f"comparison {asked.number}"):
                asked = client.drift.wait(asked.number)
    show(asked, text=_found(asked), table=_tests(asked))


def _window(answer: DriftAnswer) -> Table:
    headers = ("feature", "psi", "js", "wasserst", "ks", "cramer_v", "nulls", "unseen", "verdict")
    rows = [_window_row(one) for one in answer.features]
    spare = ("js", "unseen", "cramer_v", "nulls")
    empty = f"nothing to compare ({answer.state}); `--days 14` shows the windows around it"
    return Table(headers, rows, empty, spare, {"verdict"})


def _window_row(one: FeatureDrift) -> tuple[object, ...]:
    sizes = ("psi", "jensen_shannon", "wasserstein", "ks", "cramers_v", "null_share")
    cells = (_marked(getattr(one, name), name in one.unusual) for name in (*sizes, "unseen_share"))
    return (one.feature, *cells, one.verdict)


def _matrix(found: DriftMatrix) -> Table:
    """Return features by windows, the newest last; at a terminal the oldest windows go first."""
    form = "%m-%d %H" if found.width == "hour" else "%m-%d"
    starts = [f"{start:{form}}" for start in found.starts]
    rows = [
        (
            one.feature,
            *(
                _marked(value, verdict == "unusual")
                for value, verdict in zip(one.values, one.verdicts, strict=True)
            ),
        )
        for one in found.features
    ]
    return Table(("feature", *starts), rows, "no windows", spare=starts[:-1])


def _one(found: DriftMatrix) -> Table:
    series = found.features[0]
    rows = [
        (f"{start:%Y-%m-%d %H:%M}", rows, value, verdict)
        for start, rows, value, verdict in zip(
            found.starts, found.rows, series.values, series.verdicts, strict=True
        )
    ]
    return Table(("window", "rows", found.size, "verdict"), rows, "no windows")


def _title(found: DriftMatrix) -> str:
    rows = sum(found.rows)
    whose = f"{found.features[0].feature} of " if len(found.features) == 1 else ""
    return (
        f"{found.size} of {whose}{found.model} in {found.environment}, by {found.width}:"
        f" {len(found.starts)} windows, {rows:,} rows\n{_unknown_score(found)}"
    )


def _unknown_score(found: DriftMatrix) -> str:
    """Say why the score has no sizes, where it has none."""
    whole = {one.feature: one for one in found.whole}.get("score")
    if whole is None or whole.psi is not None:
        return ""
    return "score: none to compare with, before the champion or in its first seven days\n"


def _found(answer: CompareAnswer) -> str:
    found = answer.found
    if found is None:
        return f"comparison {answer.number} {became(answer.state)}"
    sides = (
        f"{found['rows']:,} rows from {found['start'][:16]} against {found['reference_rows']:,}"
        f" training rows of version {found['version']}\n{_left_out(found)}"
    )
    if found["question"] == "joint":
        return (
            f"{sides}AUC {found['auc']:.3f} ({found['low']:.3f} to {found['high']:.3f});"
            " 0.5: nothing tells them apart\n"
        )
    whole = found["joint"]
    if whole is None:
        return sides
    return f"{sides}all features: MMD² {whole['statistic']:.3g}, p {whole['p_value']:.3g}\n"


def _left_out(found: Mapping[str, Any]) -> str:
    """Say which hours of the window were not looked at."""
    spans = [f"{one['start'][:16]} to {one['end'][:16]}" for one in found.get("left_out", ())]
    return f"without an outage, {', '.join(spans)}\n" if spans else ""


def _tests(answer: CompareAnswer) -> Table | None:
    if answer.found is None:
        return None
    if answer.found["question"] == "joint":
        rows = [(name, f"{share:.1%}") for name, share in answer.found["culprits"]]
        return Table(("feature", "share of the gain"), rows, "no culprits")
    tests = sorted(answer.found["tests"], key=lambda one: one["p_value"])
    rows_ = [(one["feature"], one["test"], one["statistic"], one["p_value"]) for one in tests]
    return Table(("feature", "test", "statistic", "p"), rows_, "nothing to test")


def _marked(value: float | None, unusual: bool) -> str | None:
    if value is None:
        return None
    return f"{value:.3f}{UNUSUAL if unusual else ''}"
