"""The document as tables for a person."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from mlreg.cli.output import print_table
from mlreg.cli.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlreg.cli.demo.document import Document, OutageLine, Quality, RollbackLine


def print_report(document: Document) -> None:
    """Print every table and line."""
    print()
    print_table(_months(document))
    print()
    print_table(_runs(document))
    print()
    for line in _lines(document):
        print(line)


def _months(document: Document) -> Table:
    static, controlled = document.static, document.controlled
    rows = [
        _row(date.fromisoformat(f"{month}-01").strftime("%B"), one, controlled.by_month[month])
        for month, one in static.by_month.items()
    ]
    headers = ["2013", "flights", "log loss static", "controlled", "AUC static", "controlled"]
    return Table(headers, [*rows, _row("all", static, controlled)])


def _row(name: str, static: Quality, controlled: Quality) -> list[object]:
    losses = [_fixed(static.log_loss), _fixed(controlled.log_loss)]
    return [name, f"{static.rows:,}", *losses, _fixed(static.auc), _fixed(controlled.auc)]


def _fixed(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _runs(document: Document) -> Table:
    rows = [
        [lane, count, f"{document.run_seconds_by_lane.get(lane, 0.0):.1f}"]
        for lane, count in document.runs_by_lane.items()
    ]
    return Table(["lane", "runs", "seconds of training"], rows)


def _lines(document: Document) -> Iterator[str]:
    yield f"firings    {_counts(document.firings_by_trigger)}"
    yield f"           {_counts(document.firings_by_outcome)}"
    yield f"decisions  {_counts(document.decisions_by_verdict)}"
    causes: dict[str, int] = {}
    for revision in document.revisions:
        causes[revision.cause] = causes.get(revision.cause, 0) + 1
    yield f"revisions  {len(document.revisions)}: {_counts(causes)}"
    if document.outage is not None:
        yield f"outage     {_outage(document.outage)}"
    if document.rollback is not None:
        yield f"rollback   {_rollback(document.rollback)}"
    for one in document.incidents:
        state = "open" if one.closed_at is None else f"closed {one.closed_at:%d %b %H:%M}"
        yield f"incident   {one.number}, {one.opened_at:%d %b}, {one.title} ({state})"
    if document.picture is not None:
        yield f"picture    {document.picture}"
    if document.server is not None:
        kept = document.server
        yield f"server     stays at {kept.url}, and this user is logged in: try `mlreg status`"
        yield f"           its end: kill {kept.process}; rm -r {kept.data}"
    yield f"time       {document.days} days in {document.seconds:.0f} seconds"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _outage(outage: OutageLine) -> str:
    days = f"{outage.start:%d %b} to {outage.end:%d %b} without a weather feed"
    if outage.incident is None:
        return f"{days}: not noticed"
    return (
        f"{days}: noticed {outage.incident.opened_at:%d %b %H:%M} (incident"
        f" {outage.incident.number}), {outage.windows_left_out} windows left out,"
        f" {outage.firings_held_back} firings held back, {outage.runs} retrains on it"
    )


def _rollback(rollback: RollbackLine) -> str:
    took = "" if rollback.hours is None else f", {rollback.hours:.0f} hours after the first bad day"
    return (
        f"version {rollback.bad_version}, promoted by force {rollback.promoted_at:%d %b}, rolled"
        f" back to version {rollback.restored_version} by the guard {rollback.restored_at:%d %b}"
        f"{took} began"
    )
