"""`mlreg clock`: business time."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.forms import moment
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.client.wire.clock import ClockAnswer

app = typer.Typer(add_completion=False)


@app.command("show")
def show_clock() -> None:
    """Show the server's business time."""
    with open_client() as client:
        _show(client.clock.get())


@app.command("advance")
def advance(
    to: Annotated[str, typer.Argument(help="The moment, in UTC: 2013-02-01T00:00.")],
) -> None:
    """Move virtual time; returns when all that became due is done."""
    until = moment(to, "TO")
    with open_client() as client, progress("advancing the clock"):
        answer = client.clock.advance(until)
    _show(answer)


def _show(answer: ClockAnswer) -> None:
    kind = "virtual" if answer.virtual else "real"
    show(answer, text=f"{answer.now.isoformat()} ({kind} time)")
