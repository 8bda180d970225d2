"""Uploads, as the client sees them: small files at once, large ones in parts that can be resumed.

What always holds: bytes are hashed in the same pass that sends them, so the digest is that of what
was sent; a file that broke off goes on where it was, even from another process; a large file goes
straight to the store where the server lets it, in parallel; the server hashes everything again.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mlreg.client.direct_upload import DirectUpload, StoreOutOfReachError
from mlreg.client.errors import (
    IntegrityError,
    InvalidError,
    MlregError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from mlreg.client.provenance import digest_of_file
from mlreg.client.store_connection import STORE_UNREACHABLE
from mlreg.client.transport import Call, parsed, path
from mlreg.client.upload_notes import UploadNotes
from mlreg.client.waiting import await_end
from mlreg.client.wire.blobs import BlobAnswer
from mlreg.client.wire.uploads import FinishRequest, UploadAnswer, UploadRequest
from mlreg.client.wire.versions import FileForm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlreg.client.cache import BlobCache
    from mlreg.client.transport import Transport

OCTETS = "application/octet-stream"
SMALL_BYTES = 8 * 2**20
UNASKED_BYTES = 2**20
TRANSFER_SECONDS = 600.0
PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)


def no_progress(_amount: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file whose bytes are at the server; `upload` is set while they are yet to be verified."""

    form: FileForm
    upload: str | None = None


class Uploads:
    """Bring the bytes of files."""

    def __init__(self, transport: Transport, cache: BlobCache) -> None:
        self._transport = transport
        self._cache = cache

    @cached_property
    def _notes(self) -> UploadNotes:
        return UploadNotes(self._cache.folder / "uploads", self._transport.url)

    def send(self, name: str, file: Path, *, on_bytes: Callable[[int], None] = no_progress) -> Sent:
        """Upload a file and return once all its bytes are there; `await_verified` waits for more.

        Args:
            name: its path in the artifact.
            file: where it is.
            on_bytes: is told the number of bytes after every piece that was sent or skipped.

        Raises:
            IntegrityError: other bytes arrived than were sent.
            UnreachableError: it broke off; the next call goes on from there.
        """
        size = file.stat().st_size
        if size > SMALL_BYTES:
            return self._send_large(name, file, size, on_bytes)
        digest = digest_of_file(file)
        if size < UNASKED_BYTES or not self._is_stored(digest):
            self._put(digest, file)
        on_bytes(size)
        return Sent(FileForm(path=name, size=size, digest=digest))

    def await_verified(self, sent: Sent) -> FileForm:
        """Wait until the server has hashed what was sent, and return the file.

        Raises:
            IntegrityError: other bytes arrived than were sent.
        """
        if sent.upload is not None:
            place = path("uploads", sent.upload)
            done = await_end(lambda: self._transport.get(place, UploadAnswer))
            _check(done)
        return sent.form

    def _send_large(
        self, name: str, file: Path, size: int, on_bytes: Callable[[int], None]
    ) -> Sent:
        known = self._notes.find_digest(file)
        if known is not None and known == digest_of_file(file) and self._is_stored(known):
            on_bytes(size)
            return Sent(FileForm(path=name, size=size, digest=known))
        noted = self._noted(file)
        if noted is not None and noted.state == "uploaded" and noted.digest == digest_of_file(file):
            on_bytes(size)  # broken off after the last byte: only the verdict lacks
            return Sent(FileForm(path=name, size=size, digest=noted.digest), noted.id)
        if noted is not None and _is_resumable(noted):
            sent = self._resume(name, file, noted, on_bytes)
            if sent is not None:
                return sent
        try:
            upload = self._begin(file, size, direct=True)
            return self._send_on(name, file, upload, on_bytes)
        except StoreOutOfReachError:
            self._cancel(upload)
            upload = self._begin(file, size, direct=False)
            return self._send_on(name, file, upload, no_progress)

    def _resume(
        self, name: str, file: Path, upload: UploadAnswer, on_bytes: Callable[[int], None]
    ) -> Sent | None:
        """Go on with an upload; None when it has to begin anew.

        Another process ended it, or what was there is not of this file; or the store takes no more
        parts of it, as some do after they lost the ones that they had.
        """
        try:
            return self._send_on(name, file, upload, on_bytes)
        except (NotFoundError, InvalidError, RefusedError, IntegrityError):
            return None
        except UnreachableError as error:
            if error.code != STORE_UNREACHABLE:
                raise
            self._cancel(upload)
            return None

    def _send_on(
        self, name: str, file: Path, upload: UploadAnswer, on_bytes: Callable[[int], None]
    ) -> Sent:
        """Send what an upload lacks, and end it."""
        digest, done = self._send_parts(upload, file, on_bytes)
        self._notes.keep_digest(file, digest)
        _check(done)
        form = FileForm(path=name, size=file.stat().st_size, digest=digest)
        return Sent(form, None if done.state == "verified" else done.id)

    def _send_parts(
        self, upload: UploadAnswer, file: Path, on_bytes: Callable[[int], None]
    ) -> tuple[str, UploadAnswer]:
        """Send what is not there yet; return the digest of all, and the upload as it is then."""
        if upload.direct:
            digest, parts = DirectUpload(self._transport, upload).send(file, on_bytes)
            return digest, self._finish(upload, digest, FinishRequest(parts=parts))
        digest = self._send_pieces(upload, file, on_bytes)
        return digest, self._finish(upload, digest, FinishRequest())

    def _send_pieces(
        self, upload: UploadAnswer, file: Path, on_bytes: Callable[[int], None]
    ) -> str:
        sha256 = hashlib.sha256()
        with file.open("rb") as content:
            offset = 0
            while piece := content.read(upload.part_bytes):
                sha256.update(piece)
                if offset >= upload.offset:
                    self._append(upload, offset, piece)
                offset += len(piece)
                on_bytes(len(piece))
        return "sha256:" + sha256.hexdigest()

    def _append(self, upload: UploadAnswer, offset: int, piece: bytes) -> None:
        """Add one piece; after an outage, ask how far the upload is."""
        call = Call(
            "PATCH",
            path("uploads", upload.id),
            content=piece,
            content_type=OCTETS,
            headers={"Content-Range": f"bytes {offset}-{offset + len(piece) - 1}/*"},
            timeout_seconds=TRANSFER_SECONDS,
        )
        for pause in (*PAUSES_SECONDS, None):
            try:
                self._transport.send(call)
            except (UnreachableError, InvalidError) as error:
                if self._offset(upload, error) == offset + len(piece):
                    return
                if pause is None or isinstance(error, InvalidError):
                    raise
                time.sleep(pause)
            else:
                return

    def _offset(self, upload: UploadAnswer, cause: MlregError) -> int:
        """Return where an upload ends now; -1 if nobody says."""
        if isinstance(cause, InvalidError) and cause.code != "upload_out_of_order":
            raise cause
        try:
            return self._transport.get(path("uploads", upload.id), UploadAnswer).offset
        except UnreachableError:
            return -1

    def _noted(self, file: Path) -> UploadAnswer | None:
        """Return the upload that this file was begun with, if the server still has it."""
        noted = self._notes.find_upload(file)
        if noted is None:
            return None
        try:
            return self._transport.get(path("uploads", noted), UploadAnswer)
        except NotFoundError:
            return None

    def _begin(self, file: Path, size: int, *, direct: bool) -> UploadAnswer:
        request = UploadRequest(size=size, direct=direct)
        upload = self._transport.post(path("uploads"), request, UploadAnswer)
        self._notes.keep_upload(file, upload.id)
        return upload

    def _finish(self, upload: UploadAnswer, digest: str, request: FinishRequest) -> UploadAnswer:
        call = Call(
            "PUT",
            path("uploads", upload.id),
            {"digest": digest},
            content=request.model_dump_json().encode(),
            timeout_seconds=TRANSFER_SECONDS,
        )
        try:
            return parsed(self._transport.send(call), UploadAnswer)
        except (InvalidError, RefusedError) as error:
            raise _refused(error) from error

    def _cancel(self, upload: UploadAnswer) -> None:
        self._transport.send(Call("DELETE", path("uploads", upload.id)))

    def _put(self, digest: str, file: Path) -> None:
        self._transport.send(
            Call(
                "PUT",
                path("blobs", digest),
                content=file.read_bytes(),
                content_type=OCTETS,
                timeout_seconds=TRANSFER_SECONDS,
            )
        )

    def _is_stored(self, digest: str) -> bool:
        try:
            return self._transport.get(path("blobs", digest), BlobAnswer).state == "verified"
        except NotFoundError:
            return False


def _is_resumable(upload: UploadAnswer) -> bool:
    """Say whether an upload takes more, at the border of two pieces of ours."""
    borders = {upload.offset // upload.part_bytes * upload.part_bytes, upload.size}
    return upload.state == "open" and (upload.direct or upload.offset in borders)


def _check(upload: UploadAnswer) -> None:
    if upload.state == "failed":
        raise IntegrityError(
            f"other bytes arrived than were sent: {upload.problem}",
            code=upload.problem or "upload_failed",
            hint="Nothing was registered; try again.",
        )


def _refused(error: MlregError) -> MlregError:
    """Return what a refused end of an upload means: that wrong bytes arrived, or as it is."""
    if error.code not in {"digest_mismatch", "upload_closed"}:
        return error
    return IntegrityError(str(error), code=error.code, hint=error.hint, status=error.status)
