"""`mlreg snapshot`: freeze, list, show and export selections of the feedback log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import Table, progress, show, warn
from mlreg.cli.session import open_client
from mlreg.client.wire.snapshots import SnapshotAnswer

app = typer.Typer()
MINUTE = "%Y-%m-%d %H:%M"
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
    text = f"{answer.digest}\n{_segments(answer)} segments of {model} are frozen under this name"
    show(answer, text=text)
    if not answer.predictions:
        warn("warning: no prediction was logged in that time")


@app.command("list")
def list_(model: Model) -> None:
    """List the newest snapshots of a model."""
    with open_client() as client:
        page = client.snapshots.list(model)
    rows = [
        (f"{item.start:{MINUTE}}", f"{item.end:{MINUTE}}", _segments(item), item.digest)
        for item in page.items
    ]
    headers = ("start", "end", "segments", "digest")
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


def _segments(snapshot: SnapshotAnswer) -> str:
    """Return how many segments of predictions and of labels it has."""
    return f"{len(snapshot.predictions)}+{len(snapshot.labels)}"


def _interval(text: str) -> tuple[datetime, datetime]:
    first, _, last = text.partition("/")
    try:
        return _aware(datetime.fromisoformat(first)), _aware(datetime.fromisoformat(last))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not START/END") from error


def _aware(moment: datetime) -> datetime:
    """Take a time without a zone as UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
