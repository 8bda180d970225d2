"""`mlreg log`: predictions and labels from a file, as bytes; the server reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.client.errors import InvalidError

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
