"""`mlreg scrub` and `mlreg gc`: hash stored bytes anew, and collect what nobody needs."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.output import progress, say, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import IntegrityError
from mlreg.client.wire.cleanup import GarbageItemAnswer

UNITS = ("B", "kB", "MB", "GB")


def scrub(
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Only the files of its versions.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was hashed of late.")
    ] = False,
) -> None:
    """Hash stored files anew; what is not as it was registered is put aside and reported."""
    with open_client() as client:
        turns = client.cleanup.scrub(model=model, everything=everything)
        seen = [next(turns)]
        with progress("scrubbing", seen[0].bytes + seen[0].remaining_bytes) as advance:
            advance(seen[0].bytes)
            for turn in turns:
                advance(turn.bytes)
                seen.append(turn)
    corrupt = [blob for turn in seen for blob in turn.corrupt]
    blobs, size = sum(turn.blobs for turn in seen), sum(turn.bytes for turn in seen)
    rows = [[one.digest[:19], one.fault, ", ".join(one.versions)] for one in corrupt]
    show(
        {"blobs": blobs, "bytes": size, "corrupt": [one.model_dump() for one in corrupt]},
        text=f"{blobs} blobs, {_size(size)}: {len(corrupt)} corrupt",
        table=Table(("blob", "what is wrong", "versions"), rows) if rows else None,
    )
    if corrupt:
        raise IntegrityError(
            f"{len(corrupt)} blobs are not what was registered",
            code="blob_corrupt",
            hint="Register the same files again to heal them, or restore a backup.",
        )


def collect(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be done, and why.")
    ] = False,
) -> None:
    """Collect what nobody needs: condemn it at first, remove it a day later."""
    if dry_run:
        with open_client() as client:
            plan = client.cleanup.list_garbage()
        empty = "nothing to collect"
        show(plan, table=Table(("would", "what", "size", "when", "why"), _rows(plan.items), empty))
        return
    with open_client() as client:
        done = client.cleanup.collect()
    said = (
        f"purged {done.purged} versions, condemned {done.condemned} blobs,"
        f" removed {done.removed} ({_size(done.bytes)})"
    )
    show(done, text=said)
    if done.condemned:
        say("what is condemned is removed by a collection after 24 hours, unless it is needed")


def _rows(items: list[GarbageItemAnswer]) -> list[list[object]]:
    return [
        [
            item.verb,
            item.what[:19] if item.what.startswith("sha256:") else item.what,
            _size(item.bytes) if item.bytes else None,
            f"{item.due_at:%m-%d %H:%M}" if item.due_at else "now",
            item.why,
        ]
        for item in items
    ]


def _size(amount: float) -> str:
    power = min(len(f"{amount:.0f}") - 1, 11) // 3
    return f"{amount / 1000**power:.{1 if power else 0}f} {UNITS[power]}"
