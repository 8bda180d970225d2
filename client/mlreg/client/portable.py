"""Versions that travel as one file, from one installation to another that cannot reach it.

What always holds: an exported file appears whole or not at all; an imported one is read and checked
to its last byte before the first is sent; memory stays flat, whatever the size (a file as large as
the largest blob is needed on disk meanwhile).
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client import portable_file
from mlreg.client.errors import IntegrityError, RefusedError
from mlreg.client.new_files import new_file
from mlreg.client.transport import Call, path
from mlreg.client.wire.portable import ImportRequest
from mlreg.client.wire.versions import VersionAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from mlreg.client.portable_file import PortableFile
    from mlreg.client.transport import Transport
    from mlreg.client.versions import Versions

OCTETS = "application/octet-stream"
TRANSFER_SECONDS = 600.0


def _no_progress(_amount: int) -> None:
    """Show nothing."""


class PortableVersions:
    """Export versions to files, and import them."""

    def __init__(self, transport: Transport, versions: Versions) -> None:
        self._transport = transport
        self._versions = versions

    def export(
        self,
        model: str,
        number: int,
        target: Path,
        *,
        on_bytes: Callable[[int], None] = _no_progress,
    ) -> str:
        """Write a version, its stage and all that is known of it, into one file.

        Returns:
            The digest over all of the file.

        Raises:
            NotFoundError: there is no such version. RefusedError: the file exists.
            IntegrityError: stored bytes are not what was registered; no file is left.
        """
        if target.exists():
            raise RefusedError(f"{target} exists", code="file_exists")
        call = Call("GET", path("models", model, "versions", number, "record"))
        record = self._transport.send(call).body
        sizes = portable_file.blobs_of(portable_file.parse_record(record))

        def fill(digest: str) -> Callable[[BinaryIO], None]:
            return lambda file: self._receive(model, number, digest, file, on_bytes)

        with new_file(target) as file:
            blobs = ((digest, size, fill(digest)) for digest, size in sizes.items())
            return portable_file.write(file, record, blobs)

    def read(self, file: Path, *, on_bytes: Callable[[int], None] = _no_progress) -> PortableFile:
        """Read and check a whole file; nothing is sent.

        Raises:
            InvalidError: it is no such file. IntegrityError: it is cut or changed.
        """
        return portable_file.read(file, on_bytes=on_bytes)

    def import_file(
        self,
        found: PortableFile,
        *,
        model: str | None = None,
        on_bytes: Callable[[int], None] = _no_progress,
    ) -> VersionAnswer:
        """Import a version from a file (as `read` returned it) as a new version of a model.

        Args:
            found: the file.
            model: the model here; by default of the name it had. It is made if it is not there, and
                the caller may.
            on_bytes: is told the number of bytes after every piece that was sent or skipped.

        Raises:
            NotFoundError: the model is not there. RefusedError: it answers another question.
            InvalidError: the version breaks a rule of this installation; nothing was registered.
        """
        for digest in found.places:
            self._send(portable_file.pieces_of(found, digest), digest, on_bytes)
        record = f"sha256:{hashlib.sha256(found.record_bytes).hexdigest()}"
        self._send([found.record_bytes], record, _no_progress)
        place = path("models", model or found.record.origin.model, "import")
        request = ImportRequest(record=record, file=found.digest)
        return self._transport.post(place, request, VersionAnswer)

    def _send(self, pieces: Iterable[bytes], digest: str, on_bytes: Callable[[int], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="mlreg-import-") as folder:
            spool = Path(folder) / "blob"
            with spool.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            sent = self._versions.upload_file(spool, on_bytes=on_bytes)
        if sent.digest != digest:
            raise IntegrityError(
                f"blob {digest} was read as {sent.digest}",
                code="portable_file_corrupt",
                hint="The file changed while it was read; nothing was imported.",
            )

    def _receive(
        self,
        model: str,
        number: int,
        digest: str,
        file: BinaryIO,
        on_bytes: Callable[[int], None],
    ) -> None:
        sha256 = hashlib.sha256()
        place = path("models", model, "versions", number, "blobs", digest)
        call = Call("GET", place, headers={"Accept": OCTETS}, timeout_seconds=TRANSFER_SECONDS)
        with self._transport.stream(call) as body:
            while piece := body.read(portable_file.CHUNK_BYTES):
                sha256.update(piece)
                file.write(piece)
                on_bytes(len(piece))
        if f"sha256:{sha256.hexdigest()}" != digest:
            raise IntegrityError(f"blob {digest} came as other bytes", code="blob_corrupt")
