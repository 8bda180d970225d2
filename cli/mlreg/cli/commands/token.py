"""Tokens: create, list, revoke."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mlreg.cli.output import Table, show, warn
from mlreg.cli.session import open_client

app = typer.Typer()


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, as the history will show it.")],
    kind: Annotated[
        Literal["person", "service"], typer.Option(help="A person's rollback freezes automation.")
    ] = "person",
    days: Annotated[int | None, typer.Option(min=1, max=366, help="How long it lives.")] = None,
) -> None:
    """Make a token and print it, this once."""
    with open_client() as client:
        issued = client.tokens.create(name, kind=kind, days=days)
    show(issued, text=issued.token)
    warn(f"token {issued.id} of {issued.name} is not shown again")


@app.command("list")
def list_tokens() -> None:
    """List tokens, newest first, without their secrets."""
    with open_client() as client:
        found = client.tokens.list()
    rows = [
        (t.id, t.name, t.kind, t.role, t.expires_at and t.expires_at.date(), t.revoked_at is None)
        for t in found
    ]
    show(found, table=Table(("id", "name", "kind", "role", "expires", "valid"), rows))


@app.command()
def revoke(token_id: Annotated[str, typer.Argument(help="The id that `list` shows.")]) -> None:
    """End a token, everywhere within a second."""
    with open_client() as client:
        ended = client.tokens.revoke(token_id)
    show(ended, text=f"token {ended.id} of {ended.name} is revoked")
