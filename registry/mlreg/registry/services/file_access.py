"""Which bytes a caller may know of, register or read: a digest alone opens nothing.

What always holds: a blob is read through a version whose model the caller may read, and registered
by who brought its bytes of late or may read a version that has it; for everybody else it is as if
the blob were not there, so that no digest leaks from one model into another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.domain.manifests import Manifest
from mlreg.registry.services import catalog, integrity
from mlreg.registry.services.registration import BlobsMissingError
from mlreg.registry.store import at_rest, blobs, versions
from mlreg.registry.store import uploads as rows

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import Database, ReadSession
    from mlreg.registry.store.tables import Blob


@dataclass(frozen=True, slots=True)
class ReadableFile:
    """Bytes that a caller may read.

    Attributes:
        digest: the sha256 name of the bytes.
        size: in bytes.
        suspect: whether they were last seen to be other bytes: to be hashed before any is sent.
    """

    digest: str
    size: int
    suspect: bool


def get_readable_file(session: ReadSession, model: str, number: int, digest: str) -> ReadableFile:
    """Return a file of a version, of its artifact or of its stage.

    Raises:
        ModelNotFoundError, VersionNotFoundError: there is no such version.
        BlobNotFoundError: it has no such file.
    """
    version = catalog.get_version(session, catalog.get_model(session, model), number)
    sizes = {file.digest: file.size for file in catalog.get_manifest(session, version).files}
    if digest not in sizes and version.stage_digest is not None:
        stage = Manifest.from_body(versions.manifest_body(session, version.stage_digest))
        sizes = {file.digest: file.size for file in stage.files}
    if digest not in sizes:
        raise BlobNotFoundError(digest=digest)
    blob = blobs.find_blob(session, digest)
    suspect = blob is None or blob.state == blobs.CORRUPT
    return ReadableFile(digest, sizes[digest], suspect)


def look_again(
    database: Database, store: ArtifactStore, file: ReadableFile, *, now: datetime
) -> bool:
    """Hash a blob anew, write down what was found, and say whether it is whole.

    Its bytes stay where they are: a reader's way to the store may be what is broken. The scrub puts
    them aside if it finds the same.

    Raises:
        StoreUnreachableError: nothing can be said about it.
    """
    with database.reading() as session:
        found = at_rest.list_named(session, [file.digest])
    looks = [integrity.look_at(store, blob, now) for blob in found]
    with database.writing() as session:
        integrity.remember(session, looks)
    return bool(looks) and all(look.fault is None for look in looks)


def get_known_blob(session: ReadSession, digest: str, actor: Actor) -> Blob:
    """Return the row of a blob that the caller may know of.

    Raises:
        BlobNotFoundError: there is none, or none for this caller.
    """
    blob = blobs.find_blob(session, digest)
    if blob is None or digest in unknown_blobs(session, [digest], actor):
        raise BlobNotFoundError(digest=digest)
    return blob


def unknown_blobs(session: ReadSession, digests: Collection[str], actor: Actor) -> set[str]:
    """Return those digests that the caller neither brought of late nor may read anywhere."""
    models = actor.models_for("read")
    if models is None:
        return set()
    unknown = set(digests) - rows.brought(session, digests, actor.name)
    return unknown - rows.readable(session, unknown, models) if unknown else unknown


def check_known(
    session: ReadSession, manifest: Manifest, more: Collection[str], actor: Actor
) -> None:
    """Let a registration by this caller pass; before anything is read of the blobs.

    Args:
        session: any.
        manifest: the files to be registered.
        more: further digests (the stage's).
        actor: who registers.

    Raises:
        BlobsMissingError: a file's bytes were not brought by the caller, nor can it read them: the
            same words as for bytes that are nowhere.
    """
    digests = {file.digest for file in manifest.files} | set(more)
    unknown = sorted(unknown_blobs(session, digests, actor))
    if unknown:
        paths = {file.digest: file.path for file in manifest.files}
        path = paths.get(unknown[0], "(stage)")
        raise BlobsMissingError(path=path, digest=unknown[0], count=len(unknown))
