"""`mlreg db`: the schema of the server's own database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import typer

from mlreg.cli.output import show

app = typer.Typer(add_completion=False)


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database to the newest schema, as MLREG_DATABASE_OWNER_URL (or …_URL)."""
    from mlreg.cli.migrations import revision_of
    from mlreg.cli.migrations import upgrade as migrate
    from mlreg.cli.schema import newest_schema
    from mlreg.cli.settings import read_settings

    url = read_settings().owner_url
    before = revision_of(url)
    migrate(url)
    after = newest_schema()
    text = f"schema {after}: nothing to do" if before == after else f"schema {before} -> {after}"
    show({"before": before, "after": after}, text=text)


@app.command("prepare", hidden=True)
def prepare(token_file: Path, virtual_start: str = "") -> None:
    """Do what a first start needs; the admin token, if this made it, goes into a file."""
    from mlreg.cli.first_start import prepare as make_ready
    from mlreg.cli.settings import read_settings

    start = datetime.fromisoformat(virtual_start) if virtual_start else None
    moment = make_ready(read_settings(), virtual_start=start, token_file=token_file)
    show({"virtual_now": moment})
