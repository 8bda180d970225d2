"""`mlreg budget` and `mlreg cost`: what retraining may spend, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.options import Limit
from mlreg.cli.output import say, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError
from mlreg.client.wire.costs import MAX_RUNS, MAX_SECONDS, BudgetRequest, By

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.wire.costs import BudgetAnswer, CostAnswer
    from mlreg.client.wire.runs import RunAnswer

budget = typer.Typer(add_completion=False)

SMALL = 0.01

Runs = Annotated[
    int | None,
    typer.Option(min=0, max=MAX_RUNS, metavar="N", help="Runs that may start in that time."),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        min=0, max=MAX_SECONDS, metavar="SECONDS", help="Seconds of training in that time."
    ),
]


@budget.command("show")
def show_budget() -> None:
    """Show the budget of all policies together, and what is used of it."""
    with open_client() as client:
        found = client.costs.budget()
    _show(found)


@budget.command("set")
def set_budget(
    runs_per_day: Runs = None,
    runs_per_week: Runs = None,
    train_seconds_per_day: Seconds = None,
    train_seconds_per_week: Seconds = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="BOUND", help="Take one away: runs_per_day.")
    ] = None,
) -> None:
    """Set bounds on what all policies together may spend; the others stay as they are.

    A day is the last 24 hours, a week the last 7 days.
    """
    given = {
        "runs_per_day": runs_per_day,
        "runs_per_week": runs_per_week,
        "train_seconds_per_day": train_seconds_per_day,
        "train_seconds_per_week": train_seconds_per_week,
    }
    unknown = sorted(set(drop or ()) - given.keys())
    if unknown:
        raise InvalidError(
            f"there is no bound {unknown[0]!r}; there are {', '.join(given)}",
            code="unknown_bound",
        )
    if not drop and all(said is None for said in given.values()):
        message = "no bound is named; `mlreg budget show` shows them"
        raise InvalidError(message, code="nothing_to_set")
    with open_client() as client:
        before = client.costs.budget()
        wanted = {
            name: None if name in (drop or ()) else before.allowed(name) if said is None else said
            for name, said in given.items()
        }
        found = client.costs.set_budget(BudgetRequest.model_validate(wanted))
    _show(found)


def cost(
    by: Annotated[By, typer.Option(help="What the sums are of.")] = "model",
    limit: Limit = 100,
) -> None:
    """Show what runs took and cost, failed ones included.

    Months and decisions: the newest first; models and policies: those that took most.
    """
    with open_client() as client:
        found = client.costs.list(by=by, limit=limit)
    headers = (by, "runs", "worker s", "train s", "cost")
    rows = [
        (one.name, one.runs, f"{one.seconds:,.1f}", f"{one.train_seconds:,.1f}", amount_of([one]))
        for one in found
    ]
    listed = [one.model_dump(mode="json") for one in found]
    show(listed, table=Table(headers, rows, "no run has ended yet"))
    if len(found) == limit:
        say(f"perhaps more than these {limit}: --limit")


def cost_table(runs: Sequence[RunAnswer]) -> Table:
    """Return what each run took and cost."""
    headers = ("run", "state", "model", "attempts", "worker s", "train s", "cost")
    rows = [
        (
            run.number,
            run.state,
            run.model,
            run.attempt,
            f"{sum(one.seconds for one in run.costs):,.1f}",
            f"{sum(one.train_seconds for one in run.costs):,.1f}",
            amount_of(run.costs),
        )
        for run in runs
    ]
    return Table(headers, rows, "no runs", spare=("attempts",))


def amount_of(costs: Sequence[CostAnswer]) -> str | None:
    """Return amounts with their currencies; None where nothing was priced."""
    priced = [
        f"{_spelt(one.amount)} {one.currency}" + (" + unpriced" if one.unpriced else "")
        for one in costs
        if one.amount is not None
    ]
    return ", ".join(priced) or None


def _spelt(amount: float) -> str:
    """Return an amount with four decimals, or nine, as a price has, where four would hide it."""
    return f"{amount:,.4f}" if amount >= SMALL or not amount else f"{amount:.9f}".rstrip("0")


def _show(found: BudgetAnswer) -> None:
    rows = [
        (
            one.bound,
            f"{one.used:,.6g}",
            "no bound" if one.allowed is None else f"{one.allowed:,.6g}",
        )
        for one in found.bounds
    ]
    held = f"{found.held} runs are held by a budget" if found.held else None
    show(found, text=held, table=Table(("bound", "used", "allowed"), rows))
