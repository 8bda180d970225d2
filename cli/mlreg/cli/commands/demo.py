"""`mlreg demo`: a year of real flights, replayed through a server of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import OUTPUT, show


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server up, and log in to it.")
    ] = False,
    picture: Annotated[
        Path, typer.Option(help="Where the picture of the year is written (PNG).")
    ] = Path("demo-output/log-loss.png"),
    days: Annotated[
        int | None, typer.Option(min=8, max=334, hidden=True, help="Stop after so many days.")
    ] = None,
) -> None:
    """Replay a year of real flights: serve, log, retrain, judge, promote, roll back."""
    from mlreg.cli.demo.performance import perform
    from mlreg.cli.demo.replay import World

    document = perform(World().first(days), keep=keep, picture=picture, quiet=OUTPUT.json)
    if OUTPUT.json:
        show(document)
        return
    from mlreg.cli.demo.report import print_report

    print_report(document)
