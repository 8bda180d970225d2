"""`mlreg key`: make a signing key, and say whose signatures are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlreg.cli.output import show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table

app = typer.Typer(add_completion=False)
MAX_KEY_BYTES = 60_000


@app.command()
def generate(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; `.pub` beside it.")],
) -> None:
    """Make an Ed25519 key pair: the private key for who signs, the public one for the admin."""
    from mlreg.client.signing import generate_key, key_id

    public = generate_key(file)
    beside = file.with_name(file.name + ".pub")
    beside.write_text(public)
    found = {"private": str(file), "public": str(beside), "id": key_id(public)}
    show(found, text=f"wrote {file} and {beside} (key {found['id']})")
    warn("keep the private key secret; MLREG_SIGNING_KEY names it to `mlreg version register`")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is, as `list` shows it.")],
    file: Annotated[Path, typer.Argument(help="The public key or certificate, in PEM.")],
    kind: Annotated[
        Literal["ed25519", "oms-key", "oms-certificate"],
        typer.Option(help="What it signs: our signatures, or OpenSSF bundles."),
    ] = "ed25519",
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Whose versions; default any.")
    ] = None,
) -> None:
    """Trust a public key."""
    from mlreg.client.wire.signing import KeyRequest

    with file.open(encoding="utf-8", errors="replace") as text:
        public = text.read(MAX_KEY_BYTES + 1)
    request = KeyRequest(name=name, kind=kind, public_key=public, models=model or None)
    with open_client() as client:
        key = client.keys.add(request)
    where = ", ".join(key.models) if key.models else "every model"
    show(key, text=f"key {key.id} of {key.name} is trusted for {where}")


@app.command("list")
def list_keys() -> None:
    """List keys, removed ones too."""
    with open_client() as client:
        found = client.keys.list()
    rows = [
        (key.id, key.name, key.kind, ",".join(key.models or ()) or "all", key.removed_at is None)
        for key in found
    ]
    headers = ("id", "name", "kind", "models", "trusted")
    empty = "no keys; `mlreg key add` trusts one"
    show(found, table=Table(headers, rows, empty, spare=("kind",), whole=("id",)))


@app.command()
def remove(key_id: Annotated[str, typer.Argument(help="The id that `list` shows.")]) -> None:
    """Trust a key no more; what it signed stays signed by it."""
    with open_client() as client:
        key = client.keys.remove(key_id)
    show(key, text=f"key {key.id} of {key.name} is not trusted any more")


@app.command()
def require(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    off: Annotated[bool, typer.Option("--off", help="Take unsigned versions again.")] = False,
) -> None:
    """Let a model take signed versions only."""
    with open_client() as client:
        found = client.keys.require(model, required=not off)
    what = "signed versions only" if found.required else "unsigned versions too"
    show(found, text=f"model {model} takes {what}")
