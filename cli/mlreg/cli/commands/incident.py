"""`mlreg incident`: what is wrong, and what was done about it."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.options import Before, Limit
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.incidents import IncidentAnswer

app = typer.Typer(add_completion=False)

Number = Annotated[int, typer.Argument(help="The incident's number.", min=1)]


@app.command("list")
def list_incidents(
    model: Annotated[str, typer.Option(help="Of this model only.")] = "",
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List incidents, newest first."""
    with open_client() as client:
        found = client.incidents.list(
            model=model or None,
            state="open" if open_only else None,
            before=before,
            limit=limit,
        )
    rows = [
        (one.number, one.state, f"{one.opened_at:%Y-%m-%d %H:%M}", one.model, one.kind, one.title)
        for one in found.items
    ]
    headers = ("number", "state", "opened", "model", "kind", "title")
    show(found, table=Table(headers, rows, "no incidents", spare=("kind",)), more="--before")


@app.command("show")
def show_incident(number: Number) -> None:
    """Show an incident with its timeline."""
    with open_client() as client:
        answer = client.incidents.get(number)
    show(answer, text=_title(answer), table=_timeline(answer))


@app.command("close")
def close(
    number: Number,
    reason: Annotated[str, typer.Option(help="The last line of its timeline.")] = "closed by hand",
) -> None:
    """Close an incident."""
    with open_client() as client:
        answer = client.incidents.close(number, reason)
    show(answer, text=f"incident {number} is closed")


@app.command("report")
def report(number: Number) -> None:
    """Print an incident as a Markdown page, the beginning of a post-mortem."""
    with open_client() as client:
        markdown = client.incidents.report(number)
    show({"number": number, "markdown": markdown}, text=markdown.rstrip("\n"))


def _title(answer: IncidentAnswer) -> str:
    closed = f", closed {answer.closed_at:%Y-%m-%d %H:%M}" if answer.closed_at else ""
    return (
        f"incident {answer.number} ({answer.state}): {answer.title}\n"
        f"{answer.model} in {answer.environment}, {answer.kind},"
        f" opened {answer.opened_at:%Y-%m-%d %H:%M}{closed}\n"
    )


def _timeline(answer: IncidentAnswer) -> Table:
    rows = [(f"{one.at:%Y-%m-%d %H:%M}", one.actor, one.line) for one in answer.entries]
    return Table(("at", "who", "what"), rows)
