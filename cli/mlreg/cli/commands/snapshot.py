"""`mlreg snapshot`: freeze, list, show and export selections of rows, logged or of a source."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from mlreg.cli.forms import find_moment, form, moment
from mlreg.cli.options import TIME, Before, Limit, Model
from mlreg.cli.output import progress, show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError
from mlreg.client.wire.snapshots import SnapshotAnswer, SourceForm

app = typer.Typer()
Span: TypeAlias = tuple[datetime, datetime]
MINUTE = "%Y-%m-%d %H:%M"
OWN = ("time", "label", "entity", "weight", "prediction_id")
Digest = Annotated[str, typer.Argument(help="The snapshot's digest.")]


@app.command()
def create(
    model: Model,
    start: Annotated[str, typer.Option(metavar=TIME, help="First time (UTC).")],
    end: Annotated[str, typer.Option(metavar=TIME, help="Time after the last (UTC).")],
    labels_until: Annotated[
        str | None, typer.Option(metavar=TIME, help="Labels known by then. [default: now]")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="START/END of a time to leave out; repeatable.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Instead of the log: s3://…/*.parquet, /folder, delta:URL, "
            "sql:CONNECTION: SELECT …, or `policy`: what the policy names."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="WHAT=COLUMN of the source: time, label, entity, weight, a feature …"),
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times that have none.")] = None,
    connection: Annotated[str | None, typer.Option(help="By which it is reached.")] = None,
    env: Annotated[str, typer.Option(help="Of the policy.")] = "production",
) -> None:
    """Freeze the rows of a time range: predictions with their labels, or those of a source."""
    span = moment(start, "--start"), moment(end, "--end")
    known = find_moment(labels_until, "--labels-until")
    intervals = [_interval(text) for text in exclude or []]
    if source is not None:
        told = _source(source, column or [], timezone, connection)
        _freeze(model, span, intervals, told, env)
        return
    with open_client(timeout_seconds=300) as client:
        answer = client.snapshots.create(model, *span, labels_until=known, exclude=intervals)
    text = f"{answer.digest}\n{_segments(answer)} segments of {model} are frozen under this name"
    show(answer, text=text)
    if not answer.predictions:
        warn("warning: no prediction was logged in that time")


@app.command("list")
def list_(model: Model, before: Before = None, limit: Limit = 50) -> None:
    """List the snapshots of a model, newest first."""
    with open_client() as client:
        page = client.snapshots.list(model, before=before, limit=limit)
    rows = [
        (f"{item.start:{MINUTE}}", f"{item.end:{MINUTE}}", _parts(item), item.digest)
        for item in page.items
    ]
    headers = ("start", "end", "of", "digest")
    show(page, table=Table(headers, rows, empty=f"{model} has no snapshots"), more="--before")


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


def _freeze(
    model: str, span: Span, exclude: list[Span], source: SourceForm | None, env: str
) -> None:
    """Have the rows of a source frozen, and wait for it."""
    with open_client(timeout_seconds=300) as client, progress("freezing", None) as advance:
        asked = client.snapshots.freeze(model, *span, data=source, environment=env, exclude=exclude)
        answer = client.snapshots.wait(asked.number, each=lambda _freeze: advance(0))
    show(answer, text=f"{answer.digest}\n{_parts(answer)} are frozen under this name")


def _source(
    source: str, columns: list[str], timezone: str | None, connection: str | None
) -> SourceForm | None:
    """Return what was said of a source, None where the policy says it."""
    if source == "policy":
        if columns or timezone or connection:
            raise typer.BadParameter("the policy says which columns and connection these are")
        return None
    given = dict(column.split("=", 1) for column in columns if "=" in column)
    if len(given) < len(columns):
        raise typer.BadParameter("--column is WHAT=COLUMN, each once")
    own = {name: given.pop(name) for name in OWN if name in given}
    return form(
        SourceForm,
        source=source,
        timezone=timezone,
        connection=connection,
        features=given or None,
        **own,
    )


def _parts(snapshot: SnapshotAnswer) -> str:
    """Return what it is made of, in short."""
    if snapshot.source is None:
        return _segments(snapshot)
    return f"{snapshot.source.file_count} files"


def _segments(snapshot: SnapshotAnswer) -> str:
    """Return how many segments of predictions and of labels it has."""
    return f"{len(snapshot.predictions)}+{len(snapshot.labels)}"


def _interval(text: str) -> Span:
    first, slash, last = text.partition("/")
    if not slash:
        raise InvalidError(f"--exclude {text!r} is not START/END", code="invalid_option")
    return moment(first, "--exclude"), moment(last, "--exclude")
