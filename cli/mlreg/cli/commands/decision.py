"""`mlreg evaluate` and `mlreg decision`: have a version judged, read the verdict, and answer it."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.commands.approval import tell_given
from mlreg.cli.commands.deployment import version_number
from mlreg.cli.commands.verdict import end_by_verdict
from mlreg.cli.options import Before, Limit, Model
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.states import became
from mlreg.client.wire.decisions import DecisionAnswer, EvaluateRequest

app = typer.Typer(add_completion=False)


def evaluate(
    model: Model,
    version: Annotated[str, typer.Argument(help="Number of the version.")],
    env: Annotated[str, typer.Option("--env", help="Whose champion to beat.")] = "production",
    evaluate_window: Annotated[str | None, typer.Option(help="Rows to judge on: 14d.")] = None,
    label_delay: Annotated[str | None, typer.Option(help="How late labels come: 2d.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdict, exit by it.")] = False,
) -> None:
    """Judge a version against the champion; with --wait exit 7 when it is inconclusive."""
    request = EvaluateRequest(
        environment=env, evaluate_window=evaluate_window, label_delay=label_delay
    )
    with open_client() as client:
        asked = client.decisions.evaluate(model, version_number(version), request)
        if not wait:
            show(asked, text=f"evaluation {asked.number} {became(asked.state)}")
            return
        with progress(f"evaluation {asked.number}"):
            decision = client.decisions.wait(asked.number)
    show(decision, text=_sentence(decision), table=_gates(decision))
    end_by_verdict(decision.verdict, f"{model}/{decision.challenger}", decision.reason)


@app.command("show")
def show_decision(
    number: Annotated[int, typer.Argument(help="The decision's number.", min=1)],
) -> None:
    """Show a decision: verdict, gates, metrics on the same rows."""
    with open_client() as client:
        decision = client.decisions.get(number)
    show(decision, text=f"{_sentence(decision)}\n{_metrics(decision)}", table=_gates(decision))


@app.command("list")
def list_decisions(
    model: Model,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List a model's decisions, newest first."""
    with open_client() as client:
        page = client.decisions.list(model, before=before, limit=limit)
    headers = ("decision", "at", "challenger", "champion", "verdict", "run", "reason")
    rows = [
        (
            one.number,
            f"{one.created_at:%Y-%m-%d %H:%M}",
            one.challenger,
            one.champion,
            one.verdict,
            one.run,
            one.reason,
        )
        for one in page.items
    ]
    table = Table(headers, rows, "no decisions", spare=("run", "champion"))
    show(page, table=table, more="--before")


@app.command()
def approve(
    number: Annotated[int, typer.Argument(help="The decision's number.", min=1)],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")] = "",
) -> None:
    """Stand behind the promote of what a decision is about."""
    with open_client() as client:
        given = client.approvals.judge(number, "approved", reason=reason)
    tell_given(given)


@app.command()
def reject(
    number: Annotated[int, typer.Argument(help="The decision's number.", min=1)],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")] = "",
) -> None:
    """Stand against the promote of what a decision is about, until it is withdrawn."""
    with open_client() as client:
        given = client.approvals.judge(number, "rejected", reason=reason)
    tell_given(given)


def _sentence(decision: DecisionAnswer) -> str:
    against = "no champion" if decision.champion is None else f"version {decision.champion}"
    anchor = "" if decision.anchor is None else f" (anchor: version {decision.anchor})"
    return (
        f"decision {decision.number}: {decision.model}/{decision.challenger} against"
        f" {against}{anchor} in {decision.environment} is {decision.verdict}\n{decision.reason}"
    )


def _metrics(decision: DecisionAnswer) -> str:
    found = decision.evidence.get("metrics", {})
    lines = [
        f"  {role}: " + ", ".join(f"{name} {value:.5g}" for name, value in values.items() if value)
        for role, values in found.items()
    ]
    return "\n".join(lines)


def _gates(decision: DecisionAnswer) -> Table:
    gates = decision.evidence.get("gates", [])
    rows = [(gate["gate"], gate["outcome"], gate["reason"]) for gate in gates]
    return Table(("gate", "outcome", "reason"), rows, "no gate was asked")
