"""`mlreg up`, and the roles `serve`, `control`, `work` for production."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.folder import DEFAULT


def up(
    data: Annotated[
        Path, typer.Option(envvar="MLREG_DATA", help="Where everything is kept.")
    ] = DEFAULT,
    host: Annotated[
        str, typer.Option(envvar="MLREG_HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="MLREG_PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8000,
    virtual_clock: Annotated[
        bool, typer.Option("--virtual-clock", help="Time moves only when it is advanced.")
    ] = False,
    virtual_start: Annotated[
        datetime | None, typer.Option(help="The virtual clock's first moment, in UTC.")
    ] = None,
) -> None:
    """Run everything on this machine: PostgreSQL, API, dashboard, controller and worker."""
    from mlreg.cli.up import Wishes, environment, run

    start = virtual_start or (datetime.now(UTC) if virtual_clock else None)  # noqa: TID251 - an edge
    wishes = Wishes(
        data=data,
        host=host,
        port=port,
        virtual_start=start.replace(tzinfo=UTC).isoformat() if start else None,
        environ=environment(),
    )
    run(wishes, _say)


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    descriptor: Annotated[int | None, typer.Option(hidden=True)] = None,
    gate: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the API and the dashboard."""
    from mlreg.cli import server
    from mlreg.cli.settings import read_settings

    given = {"host": host, "port": port}
    asked = {name: value for name, value in given.items() if value is not None}
    server.serve(read_settings().model_copy(update=asked), descriptor, gate)


def control() -> None:
    """Run a controller: the clock of triggers, monitors and guards. Of several, one leads."""
    from mlreg.cli import server
    from mlreg.cli.settings import read_settings

    server.control(read_settings())


def work(
    labels: Annotated[
        str | None,
        typer.Option(
            envvar="MLREG_WORKER_LABELS",
            metavar="LABEL,...",
            help="It takes jobs that ask for one of these as well: gpu,big.",
        ),
    ] = None,
) -> None:
    """Run a worker: it executes runs. SIGTERM drains it, a second one ends it at once."""
    from mlreg.cli import server
    from mlreg.cli.settings import by_commas, read_settings
    from mlreg.registry.domain.names import checked_name

    asked = {}
    if labels:
        asked["worker_labels"] = [checked_name(one, kind="label") for one in by_commas(labels)]
    server.work(read_settings().model_copy(update=asked))


def _say(line: str) -> None:
    typer.echo(line)
