"""`mlreg policy backtest` and `backtests`: how the model would have done under other policies."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.forms import form, moment
from mlreg.cli.options import TIME, Before, Limit, Model
from mlreg.cli.output import progress, say, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH, Table, table_lines
from mlreg.cli.text_files import read_text
from mlreg.client.errors import InvalidError
from mlreg.client.states import became
from mlreg.client.wire.backtests import (
    AgedModel,
    BacktestAnswer,
    Backtested,
    BacktestedPolicy,
    BacktestRequest,
    Estimate,
)

if TYPE_CHECKING:
    from mlreg.client.client import Client


def backtest(
    model: Model,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="The grid; - is stdin. Else the usual one."),
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar=TIME, help="Rows since; else all.")] = "",
    end: Annotated[
        str, typer.Option("--to", metavar=TIME, help="Rows before; else up to now.")
    ] = "",
    env: Annotated[str, typer.Option("--env", help="Whose policy is varied.")] = "production",
    seed: Annotated[int, typer.Option(help="Seed of the intervals' draws.", min=0)] = 0,
    seconds: Annotated[
        float, typer.Option(help="After so many seconds no further policy is begun.", min=1)
    ] = 600.0,
    png: Annotated[
        Path | None, typer.Option("--png", help="Wait, and draw it into this file.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end.")] = False,
    number: Annotated[
        int | None, typer.Option("--show", help="Show the one of this number; ask for none.", min=1)
    ] = None,
    cancel: Annotated[
        int | None,
        typer.Option("--cancel", help="End the one of this number; ask for none.", min=1),
    ] = None,
) -> None:
    """Replay the model's own history under a grid of policies: how often to retrain?"""
    request = form(
        BacktestRequest,
        environment=env,
        grid=None if file is None else read_text(file, "invalid_grid"),
        start=moment(start, "--from") if start else None,
        end=moment(end, "--to") if end else None,
        seed=seed,
        seconds=seconds,
    )
    with open_client() as client:
        answer = _asked(client, model, request, number, cancel)
        if (wait or png is not None) and cancel is None:
            answer = _awaited(client, answer)
    show(answer, text=described(answer))
    if png is not None and answer.found is not None:
        _draw(answer, answer.found, png)


def backtests(model: Model, before: Before = None, limit: Limit = 20) -> None:
    """List the backtests of a model, newest first."""
    with open_client() as client:
        page = client.backtests.list(model, before=before, limit=limit)
    headers = ("backtest", "state", "environment", "asked", "history", "why")
    rows = [
        (
            one.number,
            one.state,
            one.environment,
            f"{one.asked_at:%Y-%m-%d %H:%M}",
            _history(one),
            one.error or (one.progress if one.is_open else None),
        )
        for one in page.items
    ]
    table = Table(headers, rows, f"{model} has no backtests", spare=("environment",))
    show(page, table=table, more="--before")


def _history(one: BacktestAnswer) -> str | None:
    if one.found is None:
        return None
    return f"{one.found.start:%Y-%m-%d} to {one.found.end:%Y-%m-%d}"


def _asked(
    client: Client, model: str, request: BacktestRequest, number: int | None, cancel: int | None
) -> BacktestAnswer:
    """Ask for a backtest, or look at the one that is named, or end it."""
    if number is not None and cancel is not None:
        raise InvalidError("--show and --cancel exclude each other", code="invalid_option")
    if cancel is not None:
        return client.backtests.cancel(cancel)
    if number is not None:
        return client.backtests.get(number)
    return client.backtests.request(model, request)


def _awaited(client: Client, answer: BacktestAnswer) -> BacktestAnswer:
    """Wait for the end of a backtest, and show how far it is."""
    shown = 0.0
    with progress(f"backtest {answer.number}", 1.0) as advance:

        def tell(seen: BacktestAnswer) -> None:
            nonlocal shown
            advance(seen.share - shown)
            shown = seen.share

        return client.backtests.wait(answer.number, tell)


def _draw(answer: BacktestAnswer, found: Backtested, png: Path) -> None:
    from mlreg.cli.backtest_picture import draw

    draw(answer.model, found, png)
    say(f"drawn into {png}")


def described(answer: BacktestAnswer) -> str:
    """Return a backtest as text."""
    if answer.found is None:
        why = f": {answer.error}" if answer.error else ""
        how_far = f" ({answer.progress})" if answer.progress else ""
        look = f"\nmlreg policy backtest {answer.model} --show {answer.number}"
        return f"backtest {answer.number} {became(answer.state)}{how_far}{why}" + (
            look if answer.is_open else ""
        )
    found = answer.found
    parts = [
        _title(answer, found),
        "\n".join(_wrapped(sentence) for sentence in found.answer),
        "\n".join(table_lines(_frontier(found))) + f"\n{_notes(found)}",
    ]
    if found.freshness:
        parts.append("\n".join(table_lines(_freshness(found.freshness))))
    return "\n\n".join(parts)


def _title(answer: BacktestAnswer, found: Backtested) -> str:
    gates = "judged by the gates" if found.gates else "without gates"
    return _wrapped(
        f"backtest {answer.number} of {answer.model} in {answer.environment},"
        f" {found.start:%Y-%m-%d} to"
        f" {found.end:%Y-%m-%d}: {len(found.policies)} policies over {found.windows:,} windows,"
        f" {found.rows:,} labelled rows, {gates}"
    )


def _frontier(found: Backtested) -> Table:
    better = sorted(found.policies, key=lambda one: one.behind.estimate)
    rows = [
        (
            "*" if one.pareto else " ",
            one.name,
            f"{one.value.estimate:.4f}",
            _about(one.gain),
            one.trainings,
            f"{one.train_seconds:.1f}",
            *([f"{one.cost:.4f}"] if any(each.cost for each in found.policies) else []),
        )
        for one in better
    ]
    cost = ("cost",) if any(one.cost for one in found.policies) else ()
    spare = ("seconds",) if cost else ("runs",)  # a cost says what seconds do
    metric = found.metric.replace("_", " ")
    headers = ("", "policy", metric, "gain over never", "runs", "seconds", *cost)
    return Table(headers, rows, spare=spare, whole=("policy",))


def _about(one: Estimate) -> str:
    """Return a difference and how far it may be off, which is as far up as down."""
    if one.high is None:
        return f"{one.estimate:+.4f}"
    return f"{one.estimate:+.4f} ± {one.high - one.estimate:.4f}"


def _gain(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f"{one.estimate:+.4f}"
    return f"{one.estimate:+.4f} ({one.low:+.4f} to {one.high:+.4f})"


def _notes(found: Backtested) -> str:
    unit = {1: "days", 7: "weeks"}.get(found.blocks.days, f"{found.blocks.days} days")
    told = [
        "* none is as good and as cheap, and better in one of both.",
        f"Intervals are of 95 % for all policies together, over {found.blocks.count} {unit}.",
    ]
    if found.left_out:
        count = len(found.left_out)
        told.append(f"The time was up before {count} more policies; --seconds gives more.")
    failed = [one for one in found.policies if one.error]
    told += [f"{one.name}: {_failure(one)}" for one in failed[:3]]
    silent = [one.name for one in found.policies if not one.trainings and not one.anchor]
    if silent:
        told.append(f"Never fired: {', '.join(silent)}.")
    return "\n".join(map(_wrapped, told))


def _failure(one: BacktestedPolicy) -> str:
    return f"{one.verdicts.get('failed', 0)} trainings failed, the first: {one.error}"


def _freshness(aged: list[AgedModel]) -> Table:
    rows = [(one.weeks, f"{one.fresh:.4f}", _gain(one.lost), one.compared) for one in aged]
    return Table(("weeks old", "loss when fresh", "loses by age", "weeks compared"), rows)


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, break_on_hyphens=False)
