"""`mlreg log`: predictions and labels from a file, how long they are kept, and erasures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError
from mlreg.client.wire.log_upkeep import ErasureAnswer

app = typer.Typer()
Model = Annotated[str, typer.Argument(help="The model's name.")]
File = Annotated[
    Path,
    typer.Argument(help="Parquet, CSV, JSON lines (.jsonl), Arrow stream (.arrow) or JSON."),
]
BatchId = Annotated[
    str | None,
    typer.Option("--batch-id", help="Names the batch, so that it is kept once. [default: digest]"),
]


@app.command()
def predictions(model: Model, file: File, batch_id: BatchId = None) -> None:
    """Log predictions: prediction_id, time, version, score and the model's features."""
    _log("predictions", model, file, batch_id)


@app.command()
def labels(model: Model, file: File, batch_id: BatchId = None) -> None:
    """Log labels: prediction_id, time and label, perhaps weight."""
    _log("labels", model, file, batch_id)


@app.command()
def retention(
    model: Model,
    keep: Annotated[str | None, typer.Argument(metavar="[DAYS|forever]", help="e.g. 400d.")] = None,
) -> None:
    """Show, or say, how long the logged rows of a model are kept."""
    with open_client() as client:
        if keep is None:
            answer = client.log.retention(model)
        else:
            answer = client.log.set_retention(model, _days(keep))
    kept = "for ever" if answer.days is None else f"for {answer.days} days"
    show(answer, text=f"logged rows of {model} are kept {kept}")


@app.command()
def erase(
    model: Model,
    entity: Annotated[str, typer.Option(help="The value of the column `entity`.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; goes into the audit log.")],
    wait: Annotated[bool, typer.Option("--wait", help="Until it is done.")] = False,
) -> None:
    """Take every row about an entity out of the log, with its labels, for good."""
    from mlreg.client.waiting import await_end

    with open_client() as client:
        answer = client.log.erase(model, entity, reason=reason)
        if wait:
            number = answer.number
            with progress("erasing"):
                answer = await_end(lambda: client.log.erasure(number), lambda _: None)
    show(answer, text=_erased(answer))


@app.command()
def erasures(model: Model) -> None:
    """List the erasures of a model; the entities stand there as SHA-256 only."""
    with open_client() as client:
        page = client.log.erasures(model)
    rows = [
        [one.number, f"{one.requested_at:%Y-%m-%d %H:%M}", one.entity_digest[7:19], _rows(one)]
        for one in page.items
    ]
    show(page, table=Table(("erasure", "asked", "entity", "rows"), rows, empty="no erasures"))


def _erased(erasure: ErasureAnswer) -> str:
    if erasure.ended_at is None:
        return f"erasure {erasure.number} is asked for; `mlreg log erasures` shows how far it is"
    gone = f"{erasure.predictions} predictions and {erasure.labels} labels"
    return f"erasure {erasure.number}: {gone} are gone"


def _rows(erasure: ErasureAnswer) -> str:
    if erasure.ended_at is None:
        return "not yet"
    return f"{erasure.predictions} predictions, {erasure.labels} labels"


def _days(keep: str) -> int | None:
    from mlreg.controller.domain.durations import parse_duration

    if keep == "forever":
        return None
    try:
        length = parse_duration(keep)
    except ValueError as error:
        raise InvalidError(f"{keep!r}: {error}", code="invalid_option") from error
    if length.seconds or not length.days:
        raise InvalidError(f"{keep!r} is no whole number of days", code="invalid_option")
    return length.days


def _log(kind: str, model: str, file: Path, batch_id: str | None) -> None:
    from mlreg.client.feedback import content_type_of

    content_type = content_type_of(file.name or str(file))
    content = file.read_bytes()
    if not content:
        raise InvalidError(f"{file} is empty", code="empty_file")
    if batch_id == "":
        raise InvalidError("--batch-id is empty", code="invalid_option")
    with open_client() as client, progress(f"logging {file.name}"):
        send = client.log.send
        answer = send(model, kind, content, content_type, batch_id)  # type: ignore[arg-type]
    said = "were there already" if answer.duplicate else "were kept"
    show(answer, text=f"{answer.rows} {kind} {said} (batch {answer.batch_id})")
