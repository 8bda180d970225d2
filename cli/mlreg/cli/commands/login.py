"""Remember a server and a token to it; in CI, one that its ID token was exchanged for."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import show
from mlreg.client.client import Client
from mlreg.client.credentials import Credentials, save_credentials
from mlreg.client.errors import InvalidError


def login(
    url: Annotated[str, typer.Argument(help="Where the server is.")],
    oidc: Annotated[
        bool, typer.Option("--oidc", help="Exchange this CI job's ID token; no secret is needed.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="A file with the ID token; else as the CI system says.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="The trust that is meant, where several would fit.")
    ] = None,
    audience: Annotated[
        str | None, typer.Option(help="What the ID token is for; by default the URL.")
    ] = None,
) -> None:
    """Ask for a token (or read it from MLREG_TOKEN or stdin), check it, and remember it."""
    if oidc:
        token = _exchanged(url, file, issuer, audience)
    else:
        token = os.environ.get("MLREG_TOKEN") or _ask()  # noqa: TID251 - the edge
    if not token:
        raise InvalidError("no token was given", code="no_token")
    credentials = Credentials(url.rstrip("/"), token)
    with Client(credentials.url, credentials.token) as client:
        client.tokens.who_am_i()
    file = save_credentials(credentials)
    remembered = {"url": credentials.url, "file": str(file)}
    show(remembered, text=f"logged in to {credentials.url}; remembered in {file}")


def _exchanged(url: str, file: Path | None, issuer: str | None, audience: str | None) -> str:
    """Return the token that this job's ID token is good for."""
    from mlreg.client.oidc import exchange_id_token, find_id_token

    id_token = find_id_token(audience or url.rstrip("/"), file=file)
    return exchange_id_token(url.rstrip("/"), id_token, issuer=issuer).token


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("Token", hide_input=True)).strip()
