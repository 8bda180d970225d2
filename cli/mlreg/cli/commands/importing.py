"""`mlreg import`: bring models over from other registries."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from mlreg.cli.output import progress, say, show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table

app = typer.Typer(add_completion=False)
Task = Literal["binary", "multiclass", "regression", "ranking"]


@app.callback()
def importing() -> None:
    """Bring models over from other registries."""


@app.command("mlflow")
def mlflow(
    url: Annotated[str, typer.Argument(help="The MLflow server, http://host:port.")],
    model: Annotated[str, typer.Argument(help="The registered model there.")],
    name: Annotated[
        str | None, typer.Option("--as", help="Its name here; default the same.")
    ] = None,
    task: Annotated[Task | None, typer.Option(help="What it predicts, if it is new here.")] = None,
) -> None:
    """Import every version of an MLflow model; what was imported before is passed over.

    MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, let us in there.
    """
    from mlreg.client.errors import RefusedError
    from mlreg.client.mlflow.importing import ensure_model, import_versions
    from mlreg.client.mlflow.server import MlflowCredentials, MlflowServer

    credentials = MlflowCredentials(
        username=os.environ.get("MLFLOW_TRACKING_USERNAME", ""),  # noqa: TID251 - the edge
        password=os.environ.get("MLFLOW_TRACKING_PASSWORD", ""),  # noqa: TID251 - the edge
        token=os.environ.get("MLFLOW_TRACKING_TOKEN", ""),  # noqa: TID251 - the edge
    )
    server = MlflowServer(url, credentials)
    here = name or model
    with open_client() as client, progress(f"importing {model}") as advance:
        server.versions(model)
        ensure_model(client, here, f"{server.url} {model}", task)
        done = list(import_versions(client, server, model, here, on_bytes=advance))
    rows = [
        [one.number, one.version, one.outcome, one.flavour, one.unsafe, ",".join(one.aliases)]
        for one in done
    ]
    headers = ("mlflow", "version", "outcome", "flavour", "unsafe", "aliases")
    empty = f"MLflow's model {model} has no versions"
    show({"model": here, "versions": done}, table=Table(headers, rows, empty=empty))
    for one in done:
        for note in one.notes:
            warn(f"version {one.number} of MLflow: {note}")
    champion = next((one for one in done if "champion" in one.aliases and one.version), None)
    if champion is not None:
        say(f'its champion: mlreg promote {here} {champion.version} --reason "from MLflow"')
    refused = [one.number for one in done if one.outcome == "refused"]
    if refused:
        raise RefusedError(f"{len(refused)} versions were refused: {refused}", code="not_imported")
