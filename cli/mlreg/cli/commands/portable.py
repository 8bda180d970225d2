"""`mlreg version export|import`: a version as one file, for a place that no network reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import progress, show
from mlreg.cli.references import find_version
from mlreg.cli.session import open_client

Reference = Annotated[
    str, typer.Argument(metavar="MODEL/VERSION", help="flights/12 or flights@champion")
]


def export(
    reference: Reference,
    file: Annotated[
        Path | None, typer.Argument(help="A new file; default MODEL-VERSION.mlreg.")
    ] = None,
) -> None:
    """Write a version with all that is known of it into one file, for another installation."""
    with open_client() as client:
        version = find_version(client, reference)
        target = file or Path(f"{version.model}-{version.number}.mlreg")
        total = sum(one.size for one in version.files or ())
        with progress(f"exporting {reference}", total) as advance:
            digest = client.portable.export(version.model, version.number, target, on_bytes=advance)
    size = target.stat().st_size
    said = {"file": str(target), "digest": digest, "bytes": size}
    show(said, text=f"wrote {target} ({size} bytes, {digest})")


def import_version(
    file: Annotated[Path, typer.Argument(help="What `version export` wrote.")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model here; default its own name.")
    ] = None,
) -> None:
    """Import a version from a file as a new version; the same one is imported once."""
    size = file.stat().st_size
    with open_client() as client:
        with progress(f"checking {file.name}", size) as advance:
            found = client.portable.read(file, on_bytes=advance)
        with progress(f"importing {file.name}", size) as advance:
            version = client.portable.import_file(found, model=model, on_bytes=advance)
    origin = found.record.origin
    was = f"{origin.model}/{origin.number}, registered {origin.registered_at:%Y-%m-%d %H:%M}"
    show(version, text=f"imported {version.model}/{version.number} (it was {was})")
