"""The exchange: where the files of a task and of its result lie between two machines.

What always holds: each task has a place of its own, which is removed when its executor is done with
it; every file is named by its sha256, and is checked at both ends, whatever disk, bucket or network
lies between; a result takes its place in the task's folder only once all of it is there and whole.

A place also has the beats of who waits for the result: tiny blobs, one for each stretch of time.
Where none came for `MISSED_BEATS` of them, nobody waits any more, and the program ends itself.

Nothing here needs a database's libraries, for the far end is started once for each task.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mlreg.client.new_files import new_folder
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.artifacts.opening import open_store, open_upkeep
from mlreg.registry.artifacts.reading import read_blob, save_blob
from mlreg.registry.artifacts.settings import S3Settings
from mlreg.registry.domain.digests import digest_of
from mlreg.registry.domain.manifests import InvalidManifestError, Manifest, ManifestFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from mlreg.controller.executors.executor import ChildTask

FORMAT = 1
MISSED_BEATS = 8
INCOMING = ".incoming"


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where places are made: `file:///shared/folder` or `s3://bucket/prefix`.

    Attributes:
        url: the same on the worker and on the cluster.
        beat_seconds: how often who waits says so.
    """

    url: str
    s3: S3Settings | None = None
    beat_seconds: float = 30.0

    def place(self, name: str) -> Place:
        """Open the place of a task.

        Raises:
            InvalidStoreUrlError, StoreRefusedError, StoreUnreachableError: it cannot be opened.
        """
        return Place(self, name)


class Place:
    """The files of one task, on either end."""

    def __init__(self, exchange: Exchange, name: str) -> None:
        self.exchange = exchange
        self.url = f"{exchange.url.rstrip('/')}/{name}"
        self._store = open_store(self.url, exchange.s3)

    def send_task(self, task: ChildTask, version: str) -> str:
        """Store a task and all that is in its folder; return the digest of its description."""
        inputs = self._send_files(task.folder, frozenset())
        document = {
            "format": FORMAT,
            "mlreg": version,
            "entry": task.entry,
            "network": task.network,
            "writes": task.writes,
            "limits": asdict(task.limits),
            "resources": asdict(task.resources),
            "inputs": None if inputs is None else inputs.body,
        }
        return self._send(json.dumps(document).encode())

    def fetch_task(self, digest: str, folder: Path) -> dict[str, Any]:
        """Fill a folder with the files of a task; return its description.

        Raises:
            BlobCorruptError, BlobNotFoundError: the bytes are not those that were sent.
        """
        document: dict[str, Any] = json.loads(read_blob(self._store, digest))
        if document["inputs"] is not None:
            self._fetch_files(Manifest.from_body(document["inputs"]), folder)
        return document

    def send_result(self, folder: Path, inputs: str | None) -> str | None:
        """Store what is new in a folder; return the digest of its manifest, None for no files.

        Raises:
            InvalidManifestError: something in the folder is a link, or has a strange name.
        """
        known = () if inputs is None else Manifest.from_body(inputs).files
        made = self._send_files(folder, frozenset(known))
        return None if made is None else self._send(made.body.encode())

    def fetch_result(self, digest: str, folder: Path) -> None:
        """Put the files of a result into a folder, once all are here and whole.

        Raises:
            BlobCorruptError, BlobNotFoundError: the bytes are not those that were made.
        """
        manifest = Manifest.from_body(read_blob(self._store, digest).decode())
        self._fetch_files(manifest, folder / INCOMING)
        for file in manifest.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / INCOMING / file.path).replace(target)
        shutil.rmtree(folder / INCOMING)

    def beat(self) -> None:
        """Say that somebody waits for the result."""
        self._send(self._beat(self._now()))

    def is_awaited(self) -> bool:
        """Whether somebody said lately that they wait; the clocks may differ by some beats."""
        now = self._now()
        around = range(now - MISSED_BEATS, now + MISSED_BEATS + 1)
        return any(self._store.size(digest_of(self._beat(one))) is not None for one in around)

    def clear(self) -> None:
        """Remove everything in the place, and the place.

        Raises:
            StoreUnreachableError, StoreRefusedError: it cannot be removed now.
        """
        for blob in list(open_upkeep(self._store).list_blobs()):
            self._store.delete(blob.digest)
        if isinstance(self._store, FolderStore):
            shutil.rmtree(self._store.root, ignore_errors=True)

    def _now(self) -> int:
        return int(time.time() / self.exchange.beat_seconds)

    def _beat(self, number: int) -> bytes:
        return f"mlreg beat {number} of {self.url.rpartition('/')[2]}".encode()

    def _send(self, content: bytes) -> str:
        digest = digest_of(content)
        self._store.put(digest, io.BytesIO(content), len(content))
        return digest

    def _send_files(self, folder: Path, known: Collection[ManifestFile]) -> Manifest | None:
        files = [file for file in _described(folder) if file not in known]
        for file in files:
            with (folder / file.path).open("rb") as source:
                self._store.put(file.digest, source, file.size)
        return Manifest.of(files) if files else None

    def _fetch_files(self, manifest: Manifest, folder: Path) -> None:
        """Write the files of a manifest into a folder (absent or empty), all or nothing."""
        with new_folder(folder) as part:
            for file in manifest.files:
                target = part / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                save_blob(self._store, file.digest, target)


def _described(folder: Path) -> Iterator[ManifestFile]:
    """Yield every file of a folder with its size and digest.

    Raises:
        InvalidManifestError: a link.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InvalidManifestError(path=name, problem="links do not travel")
        if path.is_file():
            with path.open("rb") as file:
                digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            yield ManifestFile(name, path.stat().st_size, digest)
