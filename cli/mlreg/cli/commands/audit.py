"""The audit log: list, verify, export, and the key and checkpoints that prove it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlreg.cli.forms import find_moment
from mlreg.cli.options import TIME, Before
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import IntegrityError, InvalidError, NotFoundError
from mlreg.client.paging import page_of_any_size

if TYPE_CHECKING:
    from mlreg.client.wire.audit import CheckpointAnswer, VerificationAnswer

app = typer.Typer()


@app.command("list")
def list_entries(
    action: Annotated[str | None, typer.Option(help="Only this action.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 100,
    before: Before = None,
) -> None:
    """List entries, newest first."""
    with open_client() as client:
        page = page_of_any_size(
            lambda cursor, size: client.audit.page(
                action=action, subject=subject, cursor=cursor, limit=size
            ),
            limit,
            before,
        )
    rows = [(e.seq, f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.action, e.subject) for e in page.items]
    headers = ("seq", "at", "actor", "action", "subject")
    show(page, table=Table(headers, rows), more="--before")


@app.command()
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A file of signed checkpoints to hold against the log; repeatable."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Verify this export (JSON lines), without a server.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The verifier key that counts, or its file. [default: the server's]"),
    ] = None,
) -> None:
    """Walk the hash chain, and name the first entry that is not as it was written.

    Beside the files given, the last checkpoint that this machine has seen is held against the log.
    """
    found = _verify_server(checkpoint or [], key) if file is None else None
    found = found or _verify_file(file or Path(), checkpoint or [], key)
    agreed = f", {found.checkpoints} checkpoints agree" if found.checkpoints else ""
    before = _entries_before(file)
    held = f"{found.entries} entries hold"
    if before:
        held = f"entries {before + 1} to {found.entries} hold"
    text = f"{held}, head {found.head}{agreed}"
    if found.first_bad is None:
        show(found, text=text)
        return
    show(found, text=f"the first {found.first_bad - 1} entries may hold, and no more")
    raise IntegrityError(
        f"audit entry {found.first_bad} is bad: {found.reason}",
        code="audit_broken",
        hint="Somebody changed the log outside of mlreg; compare it with a backup.",
    )


@app.command("export")
def export_entries(
    output: Annotated[Path, typer.Option(help="The file to write.")],
    form: Annotated[
        Literal["jsonl", "csv"],
        typer.Option("--format", help="JSON lines can be verified; CSV is for spreadsheets."),
    ] = "jsonl",
    since: Annotated[
        str | None, typer.Option(metavar=TIME, help="The first moment: 2026-03-01T12:00 (UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar=TIME, help="The moment before which it ends.")
    ] = None,
) -> None:
    """Write the log to a file, oldest entry first, with the head and a checkpoint at its end."""
    from mlreg.client.new_files import new_file

    with open_client() as client, new_file(output) as stream, ExitStack() as bars:
        entries = client.audit.export(
            stream,
            form=form,
            since=find_moment(since, "--since"),
            until=find_moment(until, "--until"),
            on_start=lambda lines: bars.enter_context(progress("export", lines)),
        )
    show({"file": str(output), "entries": entries}, text=f"{entries} entries are in {output}")


@app.command("key")
def show_key() -> None:
    """Print the key that signs checkpoints, as the server says it is.

    Note it once, elsewhere: whoever owns the server can give it another one.
    """
    newest = _newest_checkpoint()
    show({"key": newest.verifier}, text=newest.verifier)


@app.command("checkpoint")
def show_checkpoint(
    output: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
) -> None:
    """Print the newest signed checkpoint: keep it, and it can be held against the log later."""
    newest = _newest_checkpoint()
    if output is not None:
        output.write_text(newest.note)
    show(newest, text=newest.note.rstrip("\n"))


def _newest_checkpoint() -> CheckpointAnswer:
    with open_client() as client:
        newest = client.audit.find_checkpoint()
    if newest is None:
        raise NotFoundError(
            "there is no checkpoint yet", code="checkpoint_not_found", hint="Wait a minute."
        )
    return newest


def _verify_server(files: list[Path], key: str | None) -> VerificationAnswer:
    from mlreg.cli.held import check_signatures, notes_of, read_key, read_notes

    notes = read_notes(files)
    with open_client() as client:
        witnessed = client.audit.find_witnessed()
        if witnessed is not None:
            notes += notes_of("the checkpoint that this machine has seen", witnessed)
        newest = client.audit.find_checkpoint()
        if newest is not None:
            notes += notes_of("the server's checkpoint", newest.note)
        own_key = newest.verifier if newest else None
        check_signatures(notes, read_key(key) if key else own_key)
        held = sorted({(one.held.size, one.held.root) for one in notes})
        return client.audit.verify(held)


def _verify_file(file: Path, files: list[Path], key: str | None) -> VerificationAnswer:
    from mlreg.client.wire.audit import VerificationAnswer

    try:
        from mlreg.cli.audit_file import read_end, verify_file
        from mlreg.cli.held import check_signatures, notes_of, read_key, read_notes
    except ImportError as error:
        raise InvalidError(
            f"an export is verified by a full installation: {error}",
            code="extra_missing",
            hint="pip install 'mlreg[server]'",
        ) from error
    end = read_end(file)
    notes = read_notes(files)
    own = notes_of(str(file), end.checkpoint) if end.checkpoint else []
    check_signatures([*notes, *own], read_key(key) if key else end.verifier)
    found = verify_file(file, [one.held for one in notes])
    return VerificationAnswer.model_validate(found, from_attributes=True)


def _entries_before(file: Path | None) -> int:
    """Return how many entries of the log an export leaves out at its beginning."""
    if file is None:
        return 0
    from mlreg.cli.audit_file import read_end

    return read_end(file).after
