"""`mlreg version`: register, list, show, download and verify versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.commands.comparison import diff
from mlreg.cli.commands.described import described
from mlreg.cli.commands.portable import export, import_version
from mlreg.cli.commands.reproduction import reproduce
from mlreg.cli.commands.retirement import archive, delete, restore, show_deleted
from mlreg.cli.commands.verification import verify
from mlreg.cli.output import OUTPUT, plain, progress, show, warn
from mlreg.cli.references import find_version
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.versions import staged_files

if TYPE_CHECKING:
    from mlreg.client.wire.versions import VersionAnswer

app = typer.Typer(add_completion=False)
app.command("reproduce")(reproduce)
app.command("diff")(diff)
app.command("verify")(verify)
app.command("archive")(archive)
app.command("delete")(delete)
app.command("restore")(restore)
app.command("export")(export)
app.command("import")(import_version)
Model = Annotated[str, typer.Argument(metavar="MODEL", show_default=False)]
Reference = Annotated[
    str, typer.Argument(metavar="MODEL/VERSION", help="flights/12 or flights@champion")
]
Pairs = list[str] | None
Progress = Annotated[
    bool,
    typer.Option(
        "--progress",
        help="Show how far it is where stderr is no terminal, too.",
    ),
]
_SHOWN = {"curves", "searches", "problems"}


@app.command("register")
def register(
    model: Model,
    source: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", show_default=False)],
    contract: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Feature contract: every category pinned.")
    ] = None,
    data: Annotated[
        Pairs, typer.Option(metavar="DIGEST|FILE", help="Snapshot or file it was trained on.")
    ] = None,
    params: Annotated[
        Pairs, typer.Option(metavar="KEY=VALUE|FILE", help="Hyperparameters.")
    ] = None,
    seed: Annotated[Pairs, typer.Option(metavar="N|NAME=N", help="Every seed.")] = None,
    metric: Annotated[Pairs, typer.Option(metavar="KEY=NUMBER", help="As you measured.")] = None,
    trainer: Annotated[str | None, typer.Option(help="What trained it.")] = None,
    lane: Annotated[str | None, typer.Option(help="full, continue or refit.")] = None,
    parent: Annotated[int | None, typer.Option(help="Version it began from.", min=1)] = None,
    tag: Annotated[Pairs, typer.Option(metavar="KEY=VALUE")] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where it was trained, if not here.")
    ] = None,
    code: Annotated[Path, typer.Option(help="The working tree that trained it.")] = Path(),
    allow_missing: Annotated[
        str, typer.Option(metavar="FIELD,…", help="What may lack, and says so for ever.")
    ] = "",
    stage: Annotated[
        Pairs, typer.Option(metavar="PATH[:KIND]", help="File or folder of the training stage.")
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", envvar="MLREG_SIGNING_KEY", help="Your private key."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its OpenSSF model-signing bundle.")
    ] = None,
    description: str = "",
    show_progress: Progress = False,
) -> None:
    """Register a file, or every file of a folder, with its provenance."""
    OUTPUT.progress = show_progress
    from mlreg.cli.forms import form, numbers, pairs
    from mlreg.cli.provenance import Options, provenance_of
    from mlreg.client.signing import signer_of
    from mlreg.client.stage import stage_of_options
    from mlreg.client.versions import files_of
    from mlreg.client.wire.versions import VersionRequest

    provenance = provenance_of(
        Options(
            code=code,
            environment=environment,
            contract=contract,
            data=data or (),
            params=params or (),
            seeds=seed or (),
            trainer=trainer,
            lane=lane,
            parent=parent,
        )
    )
    given = {
        "provenance": provenance.model_dump(exclude_none=True),
        "metrics": numbers(metric or (), "--metric"),
        "tags": pairs(tag or (), "--tag"),
        "allow_missing": [field.strip() for field in allow_missing.split(",") if field.strip()],
        "description": description,
    }
    staged = stage_of_options(stage or ())
    paths = [*(file for _, file in files_of(source)), *(file.path for file in staged)]
    total = sum(path.stat().st_size for path in paths)
    with open_client() as client, progress(f"registering {source.name}", total) as advance:
        client.models.get(model)
        version = client.versions.register(
            model,
            source,
            lambda files: form(VersionRequest, files=[f.model_dump() for f in files], **given),
            stage=staged,
            signer=signer_of(sign, bundle),
            on_bytes=advance,
        )
    _warn_of(version)
    show(version, text=f"registered {version.model}/{version.number} ({version.manifest})")


@app.command("list")
def list_versions(
    model: Model,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    before: Annotated[int | None, typer.Option(help="The number to go on below.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones only.")] = False,
) -> None:
    """List the versions of a model, newest first."""
    with open_client() as client:
        page = client.versions.list(
            model, before=before, limit=limit, archived=archived, deleted=deleted
        )
    if deleted:
        show_deleted(page)
        return
    rows = [
        [
            f"{version.number} (archived)" if version.archived_at else version.number,
            version.lane,
            version.trainer,
            _commit(version),
            f"{version.created_at:%Y-%m-%d %H:%M}",
            version.created_by,
            ", ".join(version.missing),
        ]
        for version in page.items
    ]
    headers = ("version", "lane", "trainer", "commit", "created", "by", "missing")
    empty = f"model {model} has no versions"
    show(page, table=Table(headers, rows, empty, spare=("trainer", "by", "lane")), more="--before")


@app.command("show")
def show_version(reference: Reference) -> None:
    """Show a version with its provenance, signatures, loss curves and searches."""
    with open_client() as client:
        version = find_version(client, reference)
        stage = client.versions.stage(version.model, version.number) if version.stage else None
        signatures = client.keys.signatures(version.model, version.number)
    shown = plain(version) | (stage.model_dump(include=_SHOWN) if stage else {})
    shown["signatures"] = plain(signatures)
    show(shown, text=described(version, stage, signatures))


@app.command("download")
def download(
    reference: Reference,
    folder: Annotated[
        Path | None, typer.Argument(help="A new folder; default MODEL-VERSION.")
    ] = None,
    stage: Annotated[
        bool, typer.Option("--stage", help="The files of its training stage instead.")
    ] = False,
    show_progress: Progress = False,
) -> None:
    """Write the files of a version into a folder, verified, all or nothing."""
    OUTPUT.progress = show_progress
    with open_client() as client:
        version = find_version(client, reference)
        if stage:
            version = staged_files(version)
        target = folder or Path(f"{version.model}-{version.number}{'-stage' if stage else ''}")
        total = sum(file.size for file in version.files or ())
        with progress(f"downloading {reference}", total) as advance:
            written = client.versions.download(version, target, on_bytes=advance)
    if version.unsafe and not stage:
        warn("warning: a pickle; loading it can run any code")
    files = [file.path for file in version.files or ()]
    show({"folder": str(written), "files": files, "bytes": total}, text=f"wrote {written}")


def _warn_of(version: VersionAnswer) -> None:
    if version.missing:
        warn(f"warning: registered without {', '.join(version.missing)}; it says so for ever")
    if version.git is not None and version.git.get("dirty"):
        warn("warning: the working tree had uncommitted changes; the version says so")
    if version.unsafe:
        warn("warning: a pickle; no server will ever load it")


def _commit(version: VersionAnswer) -> str | None:
    if version.git is None:
        return None
    return str(version.git["commit"])[:10] + ("*" if version.git.get("dirty") else "")
