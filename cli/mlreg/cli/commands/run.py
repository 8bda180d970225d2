"""`mlreg retrain` and `mlreg run`: ask for runs, follow them, cancel and retry them."""

from __future__ import annotations

import time
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlreg.cli.commands.cost import cost_table
from mlreg.cli.commands.run_lines import run_lines
from mlreg.cli.commands.verdict import end_by_verdict
from mlreg.cli.options import Before, Limit, Model
from mlreg.cli.output import OUTPUT, progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.cli.waits import Waits
from mlreg.client.errors import InvalidError
from mlreg.client.states import became
from mlreg.client.wire.runs import Lane, LineAnswer, RetrainRequest, RunAnswer, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.client.client import Client

app = typer.Typer(add_completion=False)

LOOK_SECONDS = 0.5
MOST_WAITING = 500
Number = Annotated[int, typer.Argument(help="The run's number.", min=1)]
Param = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the trainer.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end and exit by it.")]


def retrain(
    model: Model,
    lane: Annotated[Lane | None, typer.Option(help="How; else as the policy says.")] = None,
    env: Annotated[str, typer.Option("--env", help="Whose champion to beat.")] = "production",
    start_from: Annotated[
        int | None,
        typer.Option("--from", help="The version to continue; else the champion.", min=1),
    ] = None,
    train_window: Annotated[str | None, typer.Option(help="Rows to train on: 90d.")] = None,
    evaluate_window: Annotated[str | None, typer.Option(help="Rows to judge on: 14d.")] = None,
    label_delay: Annotated[str | None, typer.Option(help="How late labels come: 2d.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Trees of a full retrain.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of everything.", min=0)] = None,
    param: Param = None,
    reason: Annotated[str, typer.Option(help="Why; kept on the version.")] = "",
    wait: Wait = False,
) -> None:
    """Request a retrain; with --wait exit 6 when it fails, 7 when its verdict is inconclusive."""
    from mlreg.client.provenance import capture_git

    request = RetrainRequest(
        environment=env,
        lane=lane,
        start_from=start_from,
        train_window=train_window,
        evaluate_window=evaluate_window,
        label_delay=label_delay,
        rounds=rounds,
        seed=seed,
        params=parameters(param or []),
        reason=reason,
        git=capture_git(),
    )
    with open_client() as client:
        run = client.runs.request(model, request)
        if wait:
            run = _waited(client, run.number)
    show(run, text=_sentence(run))
    if wait:
        end_by_verdict(run.verdict, f"run {run.number}")


@app.command("list")
def list_runs(
    model: Annotated[str, typer.Argument(help="Of this model only.")] = "",
    env: Annotated[str, typer.Option("--env", help="Of this environment only.")] = "",
    state: Annotated[RunState | None, typer.Option(help="In this state only.")] = None,
    before: Before = None,
    limit: Limit = 50,
    queue: Annotated[bool, typer.Option("--queue", help="Those that wait, and why.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="What each took and cost.")] = False,
) -> None:
    """List training runs, newest first; with --queue those that wait, the next one first.

    What else workers do (evaluations, backtests, chores): `mlreg status --workers`.
    """
    if queue:
        _list_queue(model, env, limit)
        return
    with open_client() as client:
        page = client.runs.list(
            model=model or None, environment=env or None, state=state, before=before, limit=limit
        )
    if cost:
        show(page, table=cost_table(page.items), more="--before")
        return
    headers = ("run", "state", "model", "lane", "cause", "asked", "version", "verdict", "why")
    rows = [
        (
            run.number,
            run.state,
            run.model,
            run.lane,
            run.cause,
            f"{run.created_at:%Y-%m-%d %H:%M}",
            run.version,
            run.verdict,
            run.waits_for or run.error,
        )
        for run in page.items
    ]
    spare = ("cause", "lane", "verdict", "version")
    show(page, table=Table(headers, rows, "no runs", spare=spare), more="--before")


def _list_queue(model: str, env: str, limit: int) -> None:
    with open_client() as client:
        found = [
            one
            for one in client.costs.queue(limit=MOST_WAITING)
            if one.model == (model or one.model) and one.environment == (env or one.environment)
        ][:limit]
    headers = ("next", "run", "model", "cause", "waits for", "because")
    rows = [
        (one.position, one.run, one.model, one.cause, one.waits_for, one.because) for one in found
    ]
    table = Table(headers, rows, "no run waits", spare=("cause",))
    show([one.model_dump(mode="json") for one in found], table=table)


@app.command("show")
def show_run(number: Number) -> None:
    """Show a run: what it was to do, and what came of it."""
    with open_client() as client:
        run = client.runs.get(number)
    show(run, text="\n".join(run_lines(run)))


@app.command("logs")
def logs(
    number: Number,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until its end.")] = False,
) -> None:
    """Print what a run printed."""
    with open_client() as client:
        if OUTPUT.json:
            show([line.model_dump(mode="json") for line in _lines(client, number, follow=follow)])
            return
        for line in _lines(client, number, follow=follow):
            print(f"{line.at:%Y-%m-%d %H:%M:%S}  {line.line}", flush=True)


@app.command("cancel")
def cancel(
    number: Number, reason: Annotated[str, typer.Option(help="Why; kept on the run.")] = ""
) -> None:
    """End a queued or running run."""
    with open_client() as client:
        run = client.runs.cancel(number, reason=reason)
    show(run, text=f"run {number} is cancelled")


@app.command("retry")
def retry(number: Number, wait: Wait = False) -> None:
    """Queue a failed, cancelled or dead run again."""
    with open_client() as client:
        run = client.runs.retry(number)
        if wait:
            run = _waited(client, number)
    show(run, text=_sentence(run))
    if wait:
        end_by_verdict(run.verdict, f"run {number}")


def parameters(pairs: list[str]) -> dict[str, Any]:
    """Return `NAME=VALUE` pairs as parameters: numbers, true, false, else text.

    Raises:
        InvalidError: a pair has no `=`, or its value is no finite number.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise InvalidError(f"{pair!r} is not NAME=VALUE", code="invalid_parameter")
        found[name] = _value(value)
        if isinstance(found[name], float) and not isfinite(found[name]):
            raise InvalidError(f"{pair!r} has no finite number", code="invalid_parameter")
    return found


def _value(text: str) -> bool | int | float | str:
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _waited(client: Client, number: int) -> RunAnswer:
    waits = Waits(lambda: client.costs.queue(limit=MOST_WAITING))
    with progress(f"run {number}") as advance:

        def tell(run: RunAnswer) -> None:
            advance(0)
            waits.look(run)

        return client.runs.wait(number, each=tell)


def _lines(client: Client, number: int, *, follow: bool) -> Iterator[LineAnswer]:
    """Yield the lines of a run's log: those that are there, or until its end."""
    after = 0
    while True:
        is_open = follow and client.runs.get(number).is_open
        lines = client.runs.log(number, after=after)
        yield from lines
        if lines:
            after = lines[-1].number
        elif not is_open:
            return
        else:
            time.sleep(LOOK_SECONDS)


def _sentence(run: RunAnswer) -> str:
    made = "" if run.version is None else f", version {run.version}"
    verdict = "" if run.verdict is None else f", {run.verdict} (decision {run.decision})"
    waits = "" if run.waits_for is None else f": {run.waits_for}"
    stands = run.state if run.state in {"succeeded", "failed"} else became(run.state)
    return f"run {run.number} ({run.lane}, {run.cause}) {stands}{waits}{made}{verdict}"
