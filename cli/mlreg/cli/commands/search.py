"""`mlreg search`: versions by what is true of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.output import Table, say, show
from mlreg.cli.session import open_client

if TYPE_CHECKING:
    from mlreg.client.wire.versions import VersionAnswer

MOST = 26
HEADERS = ("version", "lane", "created", "by", "metrics")


def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="e.g. 'model:flights metric.auc>=0.8 -lane:refit'."),
    ],
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Without a limit.")] = False,
) -> None:
    """Find versions of all models by what is true of them, newest first.

    A term is FIELD:VALUE; terms are joined by a space (and), by `or`, and negated by `-`. Fields:
    model, lane, git, data, features, params.KEY, metric.KEY, tag.KEY, created and more; see
    docs/reference/search.md.
    """
    with open_client() as client:
        found = client.search(" ".join(query))
        versions = list(found if everything else islice(found, limit))
        more = not everything and len(versions) == limit and next(found, None) is not None
    rows = [_row(version) for version in versions]
    show(versions, table=Table(HEADERS, rows, empty="no version matches"))
    if more:
        say("more: --limit N, or --all")


def _row(version: VersionAnswer) -> list[object]:
    named = _short(f"{version.model}/{version.number}")
    when = f"{version.created_at:%Y-%m-%d %H:%M}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(version.metrics.items()))
    return [named, version.lane, when, _short(version.created_by, 12), _short(metrics, 20)]


def _short(text: str, most: int = MOST) -> str:
    """Return a text cut so that a row fits into 80 columns."""
    return text if len(text) <= most else text[: most - 1] + "…"
