"""Remember a server and a token to it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mlreg.cli.output import show
from mlreg.client.client import Client
from mlreg.client.credentials import Credentials, save_credentials
from mlreg.client.errors import InvalidError


def login(url: Annotated[str, typer.Argument(help="Where the server is.")]) -> None:
    """Ask for a token (or read it from MLREG_TOKEN or stdin), check it, and remember it."""
    token = os.environ.get("MLREG_TOKEN") or _ask()  # noqa: TID251 - the edge
    if not token:
        raise InvalidError("no token was given", code="no_token")
    credentials = Credentials(url.rstrip("/"), token)
    with Client(credentials.url, credentials.token) as client:
        client.environments.list()
    file = save_credentials(credentials)
    remembered = {"url": credentials.url, "file": str(file)}
    show(remembered, text=f"logged in to {credentials.url}; remembered in {file}")


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("Token", hide_input=True)).strip()
