"""Issuers of ID tokens: which CI pipelines come in without a secret."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mlreg.cli.forms import form
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError

app = typer.Typer()
Name = Annotated[str, typer.Argument(help="Its name here; the history shows `oidc:NAME`.")]


@app.command()
def add(
    name: Name,
    issuer: Annotated[str, typer.Option("--url", help="The issuer, as `iss` names it.")],
    claim: Annotated[
        list[str], typer.Option(help="NAME=VALUE that a token must claim (repeatable).")
    ],
    audience: Annotated[str, typer.Option(help="What `aud` must be: this server's URL.")],
    role: Annotated[
        Literal["viewer", "ci", "operator"], typer.Option(help="What the pipeline may do.")
    ] = "ci",
    model: Annotated[
        list[str] | None, typer.Option(help="A model that it is for (repeatable); else all.")
    ] = None,
    algorithm: Annotated[
        list[str] | None, typer.Option(help="RS256 (the default), ES256 or EdDSA (repeatable).")
    ] = None,
    keys: Annotated[
        str | None, typer.Option(help="Where its keys are, if it has no discovery document.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="It may be on this server's own network.")
    ] = False,
) -> None:
    """Trust the ID tokens of an issuer that claim all of this."""
    from mlreg.client.wire.tokens import IssuerRequest

    request = form(
        IssuerRequest,
        name=name,
        issuer=issuer,
        audience=audience,
        claims=_claims(claim),
        role=role,
        models=model or None,
        algorithms=algorithm or None,
        jwks_url=keys,
        private=private,
    )
    with open_client() as client:
        added = client.issuers.add(request)
    show(added, text=f"{added.name}: its pipelines become {added.role} for a quarter of an hour")


@app.command("list")
def list_issuers() -> None:
    """List the issuers that are trusted."""
    with open_client() as client:
        found = client.issuers.list()
    rows = [(i.name, i.role, i.issuer, ", ".join(i.models or ("all",))) for i in found]
    show(found, table=Table(("name", "role", "issuer", "models"), rows, "no issuer is trusted"))


@app.command()
def remove(name: Name) -> None:
    """Trust an issuer no more."""
    with open_client() as client:
        client.issuers.remove(name)
    show({"name": name}, text=f"issuer {name} is not trusted any more")


def _claims(texts: list[str]) -> dict[str, list[str]]:
    """Return NAME=VALUE texts as a mapping; a name given twice may have either value."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InvalidError(f"--claim {text!r} is not NAME=VALUE", code="invalid_option")
        found.setdefault(name, []).append(value)
    return found
