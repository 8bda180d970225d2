"""Environments: declare and list the places to deploy to."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table

app = typer.Typer()


@app.command()
def create(name: Annotated[str, typer.Argument(help="Such as `staging`.")]) -> None:
    """Declare a place to deploy to."""
    with open_client() as client:
        environment = client.environments.create(name)
    show(environment, text=f"environment {environment.name} is declared")


@app.command("list")
def list_environments() -> None:
    """List the declared places."""
    with open_client() as client:
        found = client.environments.list()
    rows = [(item.name, item.created_at.date()) for item in found]
    show(found, table=Table(("name", "since"), rows))
