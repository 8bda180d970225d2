"""Tokens and grants: create, list, revoke, grant; and the way back for who lost the admin's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlreg.cli.folder import DEFAULT
from mlreg.cli.output import show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table

app = typer.Typer()
Role = Literal["viewer", "ci", "operator", "approver", "admin"]
Principal = Annotated[str, typer.Argument(metavar="NAME", help="The name that the tokens bear.")]
Model = Annotated[str, typer.Argument(help="The one model.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, as the history will show it.")],
    kind: Annotated[
        Literal["person", "service"], typer.Option(help="A person's rollback freezes automation.")
    ] = "person",
    role: Annotated[Role, typer.Option(help="What it may do.")] = "viewer",
    model: Annotated[
        list[str] | None, typer.Option(help="A model that it is for (repeatable); else all.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=366, help="How long it lives.")] = None,
) -> None:
    """Make a token and print it, this once."""
    with open_client() as client:
        issued = client.tokens.create(name, kind=kind, role=role, models=model or None, days=days)
    show(issued, text=issued.token)
    warn(f"token {issued.id} of {issued.name} is not shown again")


@app.command("list")
def list_tokens() -> None:
    """List tokens, newest first, without their secrets."""
    with open_client() as client:
        found = client.tokens.list()
    rows = [
        (
            t.id,
            t.name,
            t.role,
            _models(t.models),
            t.expires_at and t.expires_at.date(),
            t.last_used_at and t.last_used_at.date(),
            t.revoked_at is not None,
        )
        for t in found
    ]
    headers = ("id", "name", "role", "models", "expires", "used", "revoked")
    show(found, table=Table(headers, rows, spare=("used", "revoked"), whole=("id",)))


@app.command()
def revoke(token_id: Annotated[str, typer.Argument(help="The id that `list` shows.")]) -> None:
    """End a token, everywhere within a second."""
    with open_client() as client:
        ended = client.tokens.revoke(token_id)
    show(ended, text=f"token {ended.id} of {ended.name} is revoked")


@app.command()
def grant(
    name: Principal, model: Model, role: Annotated[Role, typer.Argument(help="What they may do.")]
) -> None:
    """Give whoever bears tokens of this name a role on one model."""
    with open_client() as client:
        given = client.tokens.grant(name, model, role)
    show(given, text=f"{given.principal} is {given.role} of {given.model}")


@app.command()
def ungrant(name: Principal, model: Model) -> None:
    """Take a grant back, everywhere within a second."""
    with open_client() as client:
        client.tokens.ungrant(name, model)
    show({"principal": name, "model": model}, text=f"{name} has no grant on {model} any more")


@app.command()
def grants() -> None:
    """List who has which role on single models."""
    with open_client() as client:
        found = client.tokens.grants()
    rows = [(g.principal, g.model, g.role, g.granted_by, g.granted_at.date()) for g in found]
    show(found, table=Table(("name", "model", "role", "by", "since"), rows))


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


def _models(names: list[str] | None) -> str:
    if names is None:
        return "all"
    return names[0] if len(names) == 1 else f"{len(names)} models"
