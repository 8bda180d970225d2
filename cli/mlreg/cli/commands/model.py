"""`mlreg model`: create, list, show, archive, delete and restore models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.models import ModelAnswer

app = typer.Typer(add_completion=False)
Name = Annotated[str, typer.Argument(metavar="MODEL", show_default=False)]
Task = Annotated[
    str, typer.Option(help="binary, multiclass, regression or ranking.", show_default=False)
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.", show_default=False)]
Features = Annotated[
    str | None, typer.Option(metavar="FILE|-", help="Ordered features, as YAML or JSON.")
]
Classes = Annotated[str | None, typer.Option(metavar="A,B,…", help="Default for binary: 0,1.")]
LabelDelay = Annotated[
    str, typer.Option(metavar="DURATION", help="When a label is given up, e.g. 36h, 2d.")
]


@app.command("create")
def create(
    name: Name,
    task: Task,
    features: Features = None,
    positive_class: Annotated[
        str | None, typer.Option(help="Binary: the last of the classes.")
    ] = None,
    classes: Classes = None,
    max_label_delay: LabelDelay = "1d",
    entity_key: Annotated[str | None, typer.Option(help="Column: whom a row is about.")] = None,
    group_key: Annotated[str | None, typer.Option(help="Column: what ranking orders.")] = None,
    weight: Annotated[str | None, typer.Option(help="Column of sample weights.")] = None,
    description: str = "",
) -> None:
    """Create a model without versions."""
    from mlreg.cli.forms import document, form
    from mlreg.cli.provenance import features_of
    from mlreg.client.wire.models import ModelRequest, TargetForm

    target = form(
        TargetForm,
        task=task,
        classes=classes.split(",") if classes else None,
        positive_class=positive_class,
        max_label_delay_seconds=_seconds(max_label_delay),
        entity_key=entity_key,
        group_key=group_key,
        weight=weight,
    )
    declared = None if features is None else features_of(document(features))
    request = form(
        ModelRequest,
        name=name,
        target=target.model_dump(),
        features=declared,
        description=description,
    )
    with open_client() as client:
        model = client.models.create(request)
    show(model, text=f"created model {model.name}")


@app.command("list")
def list_models(
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones only.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    after: Annotated[str | None, typer.Option(help="The name to go on after.")] = None,
) -> None:
    """List models by name."""
    with open_client() as client:
        page = client.models.list(after=after, limit=limit, archived=archived, deleted=deleted)
    rows = [
        [model.name, model.task, model.last_version or None, f"{model.created_at:%Y-%m-%d %H:%M}"]
        for model in page.items
    ]
    empty = "none is deleted" if deleted else "no models; `mlreg model create` makes one"
    headers = ("model", "task", "newest", "created")
    show(page, table=Table(headers, rows, empty=empty), more="--after")


@app.command("show")
def show_model(name: Name) -> None:
    """Show a model, its target and its features."""
    with open_client() as client:
        model = client.models.get(name)
    show(model, text=_described(model))


@app.command("archive")
def archive(name: Name, reason: Why) -> None:
    """Archive a model: it stays readable and takes no new versions."""
    with open_client() as client:
        model = client.models.archive(name, reason=reason)
    show(model, text=f"archived model {model.name}: {model.archived_reason}")


@app.command("delete")
def delete(name: Name, reason: Why) -> None:
    """Delete a model that serves nowhere, with its versions; restorable for 30 days."""
    with open_client() as client:
        model = client.models.delete(name, reason=reason)
    undo = f"`mlreg model restore {model.name}` undoes it for 30 days"
    show(model, text=f"deleted model {model.name}; {undo}")


@app.command("restore")
def restore(
    name: Name, reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = ""
) -> None:
    """Undo the delete of a model, else its archiving."""
    with open_client() as client:
        model = client.models.restore(name, reason=reason)
    show(model, text=f"restored model {model.name}")


@app.command("allow-unsafe")
def allow_unsafe(
    name: Name,
    reason: Why,
    no: Annotated[bool, typer.Option("--no", help="Refuse them again.")] = False,
) -> None:
    """Let versions go live whose files can run code when they are loaded (pickles)."""
    with open_client() as client:
        model = client.models.allow_unsafe(name, allowed=not no, reason=reason)
    said = "may" if model.allows_unsafe else "may not"
    show(model, text=f"versions of {model.name} that can run code when loaded {said} go live")


def _seconds(duration: str) -> int:
    from mlreg.client.errors import InvalidError
    from mlreg.controller.domain.durations import parse_duration

    try:
        return int(parse_duration(duration).total_seconds())
    except ValueError as error:
        raise InvalidError(f"--max-label-delay: {error}", code="invalid_option") from error


def _described(model: ModelAnswer) -> str:
    lines = [
        f"{model.name}  {model.task}" + ("  ARCHIVED" if model.archived_at else ""),
        f"created     {model.created_at:%Y-%m-%d %H:%M:%S} by {model.created_by}",
        f"newest      {model.last_version or 'no versions yet'}",
    ]
    if model.description:
        lines.append(f"what        {model.description}")
    lines += _target(model.target)
    lines += [f"feature     {_feature(feature)}" for feature in model.features or ()]
    if model.archived_reason:
        lines.append(f"archived    {model.archived_at:%Y-%m-%d %H:%M:%S}: {model.archived_reason}")
    return "\n".join(lines)


def _target(target: Mapping[str, object]) -> list[str]:
    """Return a line for each key that is given."""
    given = {name: value for name, value in target.items() if value not in (None, [])}
    return [f"target      {name}: {value}" for name, value in given.items() if name != "task"]


def _feature(feature: Mapping[str, object]) -> str:
    words = [f"{feature['name']}: {feature['dtype']}"]
    categories = feature.get("categories")
    if isinstance(categories, list):
        words.append(f"{len(categories)} categories")
    if feature.get("default") is not None:
        words.append(f"default {feature['default']}")
    if feature.get("at_risk"):
        words.append("at risk")
    return ", ".join(words)
