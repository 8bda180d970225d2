"""Tokens: create, list, revoke, and the way back for who lost the admin's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlreg.cli.folder import DEFAULT
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


@app.command("reset-admin")
def reset_admin(
    data: Annotated[
        Path, typer.Option(envvar="MLREG_DATA", help="The data folder of `mlreg up`.")
    ] = DEFAULT,
) -> None:
    """Make a new admin token on the server's own machine, and end the former one."""
    from mlreg.cli.folder import DataFolder
    from mlreg.cli.own_database import reset_admin_token
    from mlreg.cli.up import environment
    from mlreg.client.credentials import Credentials, save_credentials

    folder = DataFolder(data)
    token = reset_admin_token(folder, environment())
    url = folder.find_url()
    if url is None:  # a database of its own: nobody here to keep it
        show({"token": token}, text=token)
        warn("this admin token is not shown again")
        return
    where = save_credentials(Credentials(url, token), environment())
    show({"kept_in": str(where)}, text=f"the new admin token of {url} is kept in {where}")
