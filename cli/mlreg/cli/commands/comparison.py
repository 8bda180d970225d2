"""`mlreg version diff`: what differs between two versions, part by part, equal ones left out.

What always holds: no line is longer than 80 columns but for a URL and a range of commits, which
are meant to be copied.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.session import open_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.client.wire.comparison import ChangeAnswer, DiffAnswer

WIDTH = 80
NAME = 28


def diff(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    before: Annotated[int, typer.Argument(metavar="A", min=1, show_default=False)],
    after: Annotated[int, typer.Argument(metavar="B", min=1, show_default=False)],
) -> None:
    """Show what differs from version A to B: code, data, features, params, metrics, packages."""
    with open_client() as client:
        found = client.versions.diff(model, before, after)
    show(found, text=described(found))


def described(diff: DiffAnswer) -> str:
    """Return a difference as text."""
    lines = [f"{diff.model}/{diff.before} → {diff.model}/{diff.after}"]
    lines += list(_code(diff))
    for title, part in (
        ("facts", diff.facts),
        ("data", diff.data),
        ("params", diff.params),
        ("seeds", diff.seeds),
        ("tags", diff.tags),
        ("packages", diff.packages),
        ("files", diff.files),
    ):
        lines += _section(title, [_change(change) for change in part])
    features = diff.features
    lines += _section(
        "features",
        [
            *(f"+ {name}" for name in features.added),
            *(f"- {name}" for name in features.removed),
            *(_change(change) for change in features.changed),
            *(["the order of the columns differs"] if features.reordered else []),
        ],
    )
    lines += _section("metrics", list(_metrics(diff)))
    return "\n".join(lines) if len(lines) > 1 else f"{lines[0]}: no difference"


def _code(diff: DiffAnswer) -> Iterator[str]:
    code = diff.code
    if code is None:
        return
    yield "code"
    yield "  " + (code.commits or f"{code.before or '-'} → {code.after or '-'}")
    if code.dirty:
        yield "  with changes that are in no commit"
    if code.url or code.remote:
        yield f"  {code.url or code.remote}"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(_cut(f"  {line}") for line in lines)] if lines else []


def _metrics(diff: DiffAnswer) -> Iterator[str]:
    for change in diff.metrics:
        delta = "" if change.delta is None else f"  ({change.delta:+.5g})"
        yield f"{change.name:<{NAME}} {_value(change.before)} → {_value(change.after)}{delta}"


def _change(change: ChangeAnswer) -> str:
    return f"{_value(change.name):<{NAME}} {_value(change.before)} → {_value(change.after)}"


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text.removeprefix("sha256:")[:12] if text.startswith("sha256:") else text
    return short.replace("\n", " ")


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
