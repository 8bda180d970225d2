"""`mlreg version verify`: bytes, manifest and signatures, here and on the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.output import show
from mlreg.cli.references import find_version
from mlreg.cli.session import open_client
from mlreg.client.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.wire.signing import SignatureAnswer
    from mlreg.client.wire.versions import VersionAnswer

Reference = Annotated[
    str, typer.Argument(metavar="MODEL/VERSION", help="flights/12 or flights@champion")
]


def verify(
    reference: Reference,
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A public key of yours that must have signed it."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A downloaded copy to hash as well.", exists=True)
    ] = None,
) -> None:
    """Hash every file anew on the server, its stage's too; check manifest and signatures here."""
    with open_client(timeout_seconds=3600) as client:
        version = find_version(client, reference)
        found = client.versions.verify(version.model, version.number)
        signatures = client.keys.signatures(version.model, version.number)
    named = f"{version.model}/{version.number}"
    if found.broken:
        names = ", ".join(file.path for file in found.broken)
        raise IntegrityError(
            f"{named} is not what was registered: {names}",
            code="blob_corrupt",
            hint="Register the same files again to repair the store, or restore a backup.",
        )
    _check_manifest(version)
    if folder is not None:
        _check_folder(version, folder)
    signed = _signed(version, signatures, [file.read_text() for file in key or ()])
    count = f"{found.files} file{'s' if found.files != 1 else ''}"
    lines = [f"{named}: {count}, {found.bytes} bytes, all as registered", *signed]
    answer = {**found.model_dump(mode="json"), "manifest": version.manifest, "signed": signed}
    show(answer, text="\n".join(lines))


def _check_manifest(version: VersionAnswer) -> None:
    from mlreg.client.signing import manifest_digest

    actual = manifest_digest(version.files or ())
    if actual != version.manifest:
        raise IntegrityError(
            f"the files that the server lists are {actual}, not {version.manifest}",
            code="manifest_mismatch",
            hint="Do not use the version: the server's record was changed.",
        )


def _check_folder(version: VersionAnswer, folder: Path) -> None:
    from mlreg.client.provenance import digest_of_file

    for file in version.files or ():
        place = folder / file.path
        if not place.is_file() or digest_of_file(place) != file.digest:
            raise IntegrityError(
                f"{place} is not what was registered",
                code="file_mismatch",
                hint="Download the version again.",
            )


def _signed(
    version: VersionAnswer, signatures: Sequence[SignatureAnswer], keys: Sequence[str]
) -> list[str]:
    """Return a line for every signature, each checked here; ours with the caller's own keys."""
    from mlreg.client.signing import key_id, load_public_key, public_pem, verify

    wanted = {key_id(public_pem(load_public_key(text))): text for text in keys}
    lines = []
    for one in signatures:
        by = f"key {one.key_id} of {one.key_name}" + ("" if one.trusted else ", NO LONGER TRUSTED")
        if one.kind == "dsse":
            verify(
                one.body, wanted.pop(one.key_id, one.public_key), version.model, version.manifest
            )
            lines.append(f"signed by {by}: these files as a version of {version.model}")
        else:
            lines.append(f"OpenSSF bundle by {by}: checked by the server at the registration")
    if wanted:
        raise IntegrityError(
            f"it is not signed by key {', '.join(wanted)}",
            code="signature_missing",
            hint="Do not use the version, or ask who registered it to sign it.",
        )
    return lines or ["not signed"]
