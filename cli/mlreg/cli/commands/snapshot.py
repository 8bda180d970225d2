"""`mlreg snapshot`: freeze, list, show and export selections of the feedback log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import Table, progress, show
from mlreg.cli.session import open_client

app = typer.Typer()
FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Digest = Annotated[str, typer.Argument(help="The snapshot's digest.")]
Model = Annotated[str, typer.Argument(help="The model's name.")]


@app.command()
def create(
    model: Model,
    start: Annotated[datetime, typer.Option(formats=FORMATS, help="First time (UTC).")],
    end: Annotated[datetime, typer.Option(formats=FORMATS, help="Time after the last (UTC).")],
    labels_until: Annotated[
        datetime | None, typer.Option(formats=FORMATS, help="Labels known by then. [default: now]")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="START/END of a time to leave out; repeatable.")
    ] = None,
) -> None:
    """Freeze the predictions of a time range with their labels."""
    intervals = [_interval(text) for text in exclude or []]
    with open_client(timeout_seconds=300) as client:
        answer = client.snapshots.create(
            model,
            _aware(start),
            _aware(end),
            labels_until=None if labels_until is None else _aware(labels_until),
            exclude=intervals,
        )
    segments = len(answer.predictions) + len(answer.labels)
    show(answer, text=f"{answer.digest}\n{segments} segments of {model} are frozen under this name")


@app.command("list")
def list_(model: Model) -> None:
    """List the newest snapshots of a model."""
    with open_client() as client:
        page = client.snapshots.list(model)
    rows = [
        (item.digest, item.start, item.end, len(item.predictions), len(item.labels))
        for item in page.items
    ]
    headers = ("digest", "start", "end", "prediction segments", "label segments")
    show(page, table=Table(headers, rows, empty=f"{model} has no snapshots"))


@app.command("show")
def show_(digest: Digest) -> None:
    """Show what a snapshot selects."""
    with open_client() as client:
        show(client.snapshots.get(digest))


@app.command()
def export(
    digest: Digest,
    file: Annotated[Path, typer.Argument(help="Where to: .parquet, .csv or .arrow.")],
) -> None:
    """Write the joined rows of a snapshot into a file."""
    with open_client() as client, progress(f"exporting {file.name}") as advance:
        size = client.snapshots.export(digest, file, on_bytes=advance)
    show({"digest": digest, "file": str(file), "size": size}, text=f"{file}: {size} bytes")


def _interval(text: str) -> tuple[datetime, datetime]:
    first, _, last = text.partition("/")
    try:
        return _aware(datetime.fromisoformat(first)), _aware(datetime.fromisoformat(last))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not START/END") from error


def _aware(moment: datetime) -> datetime:
    """Take a time without a zone as UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
