"""The audit log: list and verify."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.output import Table, show
from mlreg.cli.session import open_client
from mlreg.client.errors import IntegrityError

app = typer.Typer()


@app.command("list")
def list_entries(
    action: Annotated[str | None, typer.Option(help="Only this action.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 100,
) -> None:
    """List entries, newest first."""
    with open_client() as client:
        entries = client.audit.list(action=action, subject=subject)
        found = [entry for _, entry in zip(range(limit), entries, strict=False)]
    rows = [
        (e.seq, e.at.isoformat(timespec="seconds"), e.actor, e.action, e.subject) for e in found
    ]
    show(found, table=Table(("seq", "at", "actor", "action", "subject"), rows))


@app.command()
def verify() -> None:
    """Walk the hash chain, and name the first entry that is not as it was written."""
    with open_client() as client:
        found = client.audit.verify()
    show(found, text=f"{found.entries} entries hold, head {found.head}")
    if found.first_bad is not None:
        raise IntegrityError(
            f"audit entry {found.first_bad} is bad: {found.reason}",
            code="audit_broken",
            hint="Somebody changed the log outside of mlreg; compare it with a backup.",
        )
