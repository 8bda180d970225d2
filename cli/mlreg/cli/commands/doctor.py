"""`mlreg doctor`: is this installation well?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.folder import DEFAULT
from mlreg.cli.output import show
from mlreg.cli.tables import Table

UNWELL = 1


def doctor(
    data: Annotated[
        Path, typer.Option(envvar="MLREG_DATA", help="The data folder of `mlreg up`.")
    ] = DEFAULT,
) -> None:
    """Look at database, clock, artifacts, executors and processes; exit 1 if one is not well."""
    from pydantic import SecretStr

    from mlreg.cli.checks import examine
    from mlreg.cli.folder import DataFolder
    from mlreg.cli.own_database import own_database
    from mlreg.cli.settings import Settings, read_settings
    from mlreg.cli.up import environment

    environ, folder = environment(), DataFolder(data)
    embedded = not environ.get("MLREG_DATABASE_URL")
    with own_database(folder, environ) as database:
        settings = (
            Settings(database_url=SecretStr(database.url), artifacts_url=folder.artifacts_url)
            if embedded
            else read_settings()
        )
        found = examine(settings, database, folder.path if embedded else None)
    rows = [["ok" if finding.well else "NOT WELL", finding.name, finding.text] for finding in found]
    show(found, table=Table(["", "what", "found"], rows))
    if not all(finding.well for finding in found):
        raise typer.Exit(UNWELL)
