"""`mlreg log`: predictions and labels from a file, how long they are kept, and erasures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.options import Before, Limit, Model
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError
from mlreg.client.states import became
from mlreg.client.wire.log_upkeep import ErasureAnswer, ErasureReport, RemainderAnswer

app = typer.Typer()
File = Annotated[
    Path,
    typer.Argument(help="Parquet, CSV, JSON lines (.jsonl), Arrow stream (.arrow) or JSON."),
]
BatchId = Annotated[
    str | None,
    typer.Option("--batch-id", help="Names the batch, so that it is kept once. [default: digest]"),
]
_PLACES = {
    "version_file": "file of version",
    "source": "your own source",
    "frozen_answer": "frozen answer of snapshot",
}


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
    _check_given("--entity", entity)
    _check_given("--reason", reason)
    with open_client() as client:
        answer = client.log.erase(model, entity, reason=reason)
        if wait:
            with progress("erasing"):
                answer = client.log.wait_for_erasure(answer.number)
    show(answer, text=_erased(answer))


@app.command()
def erasure(
    number: Annotated[int, typer.Argument(min=1, help="The number of the erasure.")],
) -> None:
    """Show how far an erasure is, what it took, and where rows of the entity are left."""
    with open_client() as client:
        answer = client.log.erasure(number)
    show(answer, text=_erased(answer))


@app.command()
def erasures(model: Model, before: Before = None, limit: Limit = 50) -> None:
    """List the erasures of a model; the entities stand there as SHA-256 only."""
    with open_client() as client:
        page = client.log.erasures(model, before=before, limit=limit)
    rows = [
        [one.number, f"{one.requested_at:%Y-%m-%d %H:%M}", one.entity_digest[7:19], _rows(one)]
        for one in page.items
    ]
    headers = ("erasure", "asked", "entity", "rows")
    show(page, table=Table(headers, rows, empty="no erasures"), more="--before")


def _erased(erasure: ErasureAnswer) -> str:
    if erasure.ended_at is None:
        return _not_ended(erasure)
    if erasure.report is not None and erasure.report.joined is not None:
        return f"erasure {erasure.number} was done by erasure {erasure.report.joined}"
    if not (erasure.predictions or erasure.labels):
        lines = [f"erasure {erasure.number}: the log of {erasure.model} has no row about it"]
    else:
        lines = [f"erasure {erasure.number}: {_rows(erasure)} are gone"]
    if erasure.report is not None:
        lines += _also(erasure.report)
        lines += [f"left: {_left(one)}" for one in erasure.report.remaining]
    return "\n".join(lines)


def _not_ended(erasure: ErasureAnswer) -> str:
    if erasure.is_open:
        seen = f"`mlreg log erasure {erasure.number}` shows how far it is"
        return f"erasure {erasure.number} is asked for; {seen}"
    why = f": {erasure.error}" if erasure.error else ""
    return f"erasure {erasure.number} {became(erasure.state)}, and its rows are still there{why}"


def _also(report: ErasureReport) -> list[str]:
    """Return what went beside the rows of the log, in a line; none where nothing did."""
    counted = {
        "snapshots lost rows": report.snapshots,
        "files of frozen answers went": report.answers,
        "findings named such rows": report.evidence,
    }
    said = [f"{count} {what}" for what, count in counted.items() if count]
    return [", ".join(said)] if said else []


def _left(one: RemainderAnswer) -> str:
    rows = "perhaps" if one.rows is None else f"{one.rows} rows"
    return f"{_PLACES.get(one.what, one.what)} {one.name} ({rows})"


def _rows(erasure: ErasureAnswer) -> str:
    if erasure.ended_at is None:
        return "not yet" if erasure.is_open else erasure.state
    predictions = f"{erasure.predictions} prediction{'' if erasure.predictions == 1 else 's'}"
    return f"{predictions}, {erasure.labels} label{'' if erasure.labels == 1 else 's'}"


def _check_given(option: str, value: str) -> None:
    if not value.strip():
        raise InvalidError(f"{option} is empty", code="invalid_option")


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
    rows = f"1 {kind[:-1]} was" if answer.rows == 1 else f"{answer.rows} {kind} were"
    said = "there already" if answer.duplicate else "kept"
    show(answer, text=f"{rows} {said} (batch {answer.batch_id})")
