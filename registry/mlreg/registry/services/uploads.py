"""Bytes in and out: files and folders become verified blobs, and versions become folders again."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from mlreg.client.new_files import new_folder
from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError, WrongSizeError
from mlreg.registry.artifacts.reading import save_blob
from mlreg.registry.artifacts.verified import CHUNK_BYTES
from mlreg.registry.domain.errors import RefusedError, UnavailableError
from mlreg.registry.domain.manifests import InvalidManifestError, Manifest, ManifestFile
from mlreg.registry.services import integrity
from mlreg.registry.services.catalog import get_manifest
from mlreg.registry.store import blobs
from mlreg.registry.store import uploads as upload_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.transfers import Transfers
    from mlreg.registry.artifacts.verified import Source, VerifiedReader
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Blob, Version


class SizedFile(Protocol):
    """A file by its digest, with its size in bytes."""

    @property
    def digest(self) -> str:
        """The sha256 name of its bytes."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...


class BlobGoneError(UnavailableError):
    """A blob was swept away between its upload and its row."""

    code = "blob_gone"
    hint = "Upload it again."

    def __init__(self, *, digest: str) -> None:
        super().__init__(f"blob {digest} was removed while it was uploaded")


class FolderNotEmptyError(RefusedError):
    """A download does not write over what is there."""

    code = "folder_not_empty"

    def __init__(self, *, folder: Path) -> None:
        super().__init__(f"{folder} exists and is not empty")


@dataclass(frozen=True, slots=True)
class BlobFile:
    """Stored bytes: their digest and their size in bytes."""

    digest: str
    size: int


def store_blob(
    session: WriteSession, store: ArtifactStore, source: BinaryIO | Path, *, now: datetime
) -> BlobFile:
    """Store bytes and write their row; nothing refers to them yet.

    The transaction waits for the store meanwhile: for large files call `send_blob` before the
    session is opened, and `keep_blob` in it.

    Raises:
        StorageFullError, StoreUnreachableError, BlobCorruptError: as `ArtifactStore.put`.
    """
    blob = send_blob(store, source)
    keep_blob(session, store, blob, now=now)
    return blob


def send_blob(store: ArtifactStore, source: BinaryIO | Path) -> BlobFile:
    """Store bytes under their digest, verified; needs no session.

    Raises:
        StorageFullError, StoreUnreachableError, BlobCorruptError: as `ArtifactStore.put`.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return send_blob(store, file)
    blob = blob_of(source)
    store.put(blob.digest, source, blob.size)
    return blob


def keep_blob(
    session: WriteSession,
    store: ArtifactStore,
    blob: BlobFile,
    *,
    now: datetime,
    owner: str | None = None,
) -> None:
    """Write the row of a stored blob; resurrects one that was condemned.

    The row is locked first and the store asked then, so that a sweep that removed the bytes in
    between is noticed. `owner` is who brought the bytes from outside, and may register them.

    Raises:
        BlobGoneError: the bytes are not there any more.
        WrongSizeError: bytes of that name have another size.
    """
    fault = blobs.keep_blob(session, blob.digest, blob.size, now)
    size = store.size(blob.digest)
    if size is None:
        raise BlobGoneError(digest=blob.digest)
    if size != blob.size:
        raise WrongSizeError(expected=blob.size, actual=size)
    if fault is not None:
        integrity.heal(session, blob.digest, blob.size, fault, now=now)
    if owner is not None:
        upload_rows.keep_receipt(session, blob.digest, owner)


def store_folder(
    session: WriteSession, store: ArtifactStore, folder: Path, *, now: datetime
) -> Manifest:
    """Store every file of a folder, and return their manifest; links are refused.

    Raises:
        InvalidManifestError: an empty folder, a link, or a name that is no plain path.
    """
    manifest = send_folder(store, folder)
    for file in manifest.files:
        keep_blob(session, store, BlobFile(file.digest, file.size), now=now)
    return manifest


def send_folder(store: ArtifactStore, folder: Path) -> Manifest:
    """Store the bytes of every file of a folder; needs no session (then `keep_blob` each).

    Raises:
        InvalidManifestError: an empty folder, a link, or a name that is no plain path.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InvalidManifestError(path=name, problem="links are not registered")
        if path.is_file():
            blob = send_blob(store, path)
            files.append(ManifestFile(path=name, size=blob.size, digest=blob.digest))
    return Manifest.of(files)


def fetch_version(
    session: ReadSession, store: ArtifactStore, version: Version, folder: Path
) -> None:
    """Write the files of a version into a folder, verified, all or nothing.

    Raises:
        FolderNotEmptyError: the folder exists and is not empty.
        BlobCorruptError: bytes are not what was registered, or are gone.
    """
    fetch_artifact(store, get_manifest(session, version), folder)


def fetch_artifact(store: ArtifactStore, manifest: Manifest, folder: Path) -> None:
    """Write the files of a manifest into a folder, verified, all or nothing.

    Raises:
        FolderNotEmptyError, BlobCorruptError: as `fetch_version`.
    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise FolderNotEmptyError(folder=folder)
    with new_folder(folder) as part:
        for file in manifest.files:
            target = part / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _save(store, file.digest, target)


def get_blob(session: ReadSession, digest: str) -> Blob:
    """Return the row of a blob in any state.

    Raises:
        BlobNotFoundError: there is none of that digest.
    """
    blob = blobs.find_blob(session, digest)
    if blob is None:
        raise BlobNotFoundError(digest=digest)
    return blob


def find_broken(store: ArtifactStore, manifest: Manifest) -> tuple[ManifestFile, ...]:
    """Hash every file of a manifest anew and return those that are not whole.

    Raises:
        StoreUnreachableError: nothing can be said about them.
    """
    return tuple(file for file in manifest.files if not is_whole(store, file))


def is_whole(store: ArtifactStore, file: SizedFile) -> bool:
    """Say whether the store still has exactly the bytes of a file."""
    try:
        with store.open(file.digest) as reader:
            return sum(len(piece) for piece in reader.chunks()) == file.size
    except (BlobCorruptError, BlobNotFoundError):
        return False


@contextmanager
def open_registered(store: ArtifactStore, digest: str) -> Iterator[VerifiedReader]:
    """Open a blob that a version has: where the store has none, it is corrupt, not unknown.

    Raises:
        BlobCorruptError: the bytes are gone, or (from the reader) not what was registered.
    """
    try:
        with store.open(digest) as reader:
            yield reader
    except BlobNotFoundError as error:
        raise BlobCorruptError(expected=digest, actual="nothing") from error


@contextmanager
def open_range(transfers: Transfers, digest: str, start: int, end: int) -> Iterator[Source]:
    """Open the bytes `start` to `end` (exclusive) of a blob that a version has, unverified.

    Raises:
        BlobCorruptError: the bytes are gone.
    """
    try:
        with transfers.read_range(digest, start, end) as source:
            yield source
    except BlobNotFoundError as error:
        raise BlobCorruptError(expected=digest, actual="nothing") from error


def blob_of(source: BinaryIO) -> BlobFile:
    """Return digest and size of a seekable source, and rewind it."""
    source.seek(0)
    sha256, size = hashlib.sha256(), 0
    while piece := source.read(CHUNK_BYTES):
        sha256.update(piece)
        size += len(piece)
    source.seek(0)
    return BlobFile(digest="sha256:" + sha256.hexdigest(), size=size)


def _save(store: ArtifactStore, digest: str, path: Path) -> None:
    try:
        save_blob(store, digest, path)
    except BlobNotFoundError as error:
        raise BlobCorruptError(expected=digest, actual="nothing") from error
