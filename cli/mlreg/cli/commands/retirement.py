"""`mlreg version archive|delete|restore`: the ends of a version, and their undoing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from mlreg.client.wire.base import Page
    from mlreg.client.wire.versions import VersionAnswer

Reference = Annotated[str, typer.Argument(metavar="MODEL/VERSION", help="flights/12")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.", show_default=False)]


def archive(reference: Reference, reason: Why) -> None:
    """Archive a version: hidden from lists and search, not promoted, still downloaded."""
    with open_client() as client:
        version = client.versions.archive(*_numbered(reference), reason=reason)
    show(version, text=f"archived {version.model}/{version.number}: {version.archived_reason}")


def delete(reference: Reference, reason: Why) -> None:
    """Delete a version that is in service nowhere; it can be restored for 30 days."""
    with open_client() as client:
        version = client.versions.delete(*_numbered(reference), reason=reason)
    named = f"{version.model}/{version.number}"
    show(version, text=f"deleted {named}; `mlreg version restore {named}` undoes it for 30 days")


def restore(
    reference: Reference, reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = ""
) -> None:
    """Undo the delete of a version, else its archiving."""
    with open_client() as client:
        version = client.versions.restore(*_numbered(reference), reason=reason)
    show(version, text=f"restored {version.model}/{version.number}")


def show_deleted(page: Page[VersionAnswer]) -> None:
    """Print deleted versions."""
    rows = [
        [
            version.number,
            f"{version.deleted_at:%Y-%m-%d %H:%M}",
            version.deleted_by,
            "bytes may be gone" if version.purged_at else version.deleted_reason,
        ]
        for version in page.items
    ]
    headers = ("version", "deleted", "by", "why")
    show(page, table=Table(headers, rows, empty="none is deleted"), more="--before")


def _numbered(reference: str) -> tuple[str, int]:
    """Return model and number: what a role names may be another version a moment later."""
    model, slash, number = reference.partition("/")
    if not (slash and number.isascii() and number.isdigit()):
        raise InvalidError(
            f"{reference!r} names no version by its number",
            code="invalid_reference",
            hint="Write MODEL/NUMBER.",
        )
    return model, int(number)
