"""`mlreg search`: versions by what is true of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.options import Before
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.paging import page_of_any_size

if TYPE_CHECKING:
    from mlreg.client.wire.versions import VersionAnswer

HEADERS = ("version", "lane", "created", "by", "metrics")


def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="e.g. 'model:flights metric.auc>=0.8 -lane:refit'."),
    ],
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    before: Before = None,
    everything: Annotated[bool, typer.Option("--all", help="Without a limit.")] = False,
) -> None:
    """Find versions of all models by what is true of them, newest first.

    A term is FIELD:VALUE; terms are joined by a space (and), by `or`, and negated by `-`. Fields:
    model, lane, git, data, features, params.KEY, metric.KEY, tag.KEY, created and more; see
    docs/reference/search.md.
    """
    with open_client() as client:
        page = page_of_any_size(
            lambda cursor, size: client.versions.search(" ".join(query), cursor=cursor, limit=size),
            sys.maxsize if everything else limit,
            before,
        )
    rows = [_row(version) for version in page.items]
    table = Table(HEADERS, rows, "no version matches", spare=("by", "lane"))
    show(page, table=table, more="--all, --limit N or --before")


def _row(version: VersionAnswer) -> list[object]:
    named = f"{version.model}/{version.number}"
    when = f"{version.created_at:%Y-%m-%d %H:%M}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(version.metrics.items()))
    return [named, version.lane, when, version.created_by, metrics]
