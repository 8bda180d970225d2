"""Routes of bytes: upload under their digest, download as part of a version.

What always holds: an upload is kept only if its bytes hash to the digest in its path; a whole
download's last piece is sent only after all of it hashed right, else the connection is cut and the
next request says why; a range is verified by who joins the ranges; bytes are served as an
attachment of no type, so that no browser renders them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from mlreg.client.wire.blobs import BlobAnswer
from mlreg.client.wire.uploads import LocationAnswer
from mlreg.registry.api.context import Caller, Parts, Reading
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.api.permission import may
from mlreg.registry.api.spooling import Spool, spooled
from mlreg.registry.api.transfer_parts import Moving
from mlreg.registry.artifacts.errors import BlobCorruptError
from mlreg.registry.artifacts.transfers import URL_SECONDS
from mlreg.registry.artifacts.verified import CHUNK_BYTES
from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import file_access, uploads
from mlreg.registry.services.file_access import ReadableFile
from mlreg.registry.services.upload_sessions import UploadRoom
from mlreg.registry.services.uploads import BlobFile

router = APIRouter(tags=["blobs"])
OCTETS = "application/octet-stream"
HEADERS = {
    "Accept-Ranges": "bytes",
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


class InvalidRangeError(InvalidError):
    """A range that is none, or lies behind the end of the file."""

    code = "invalid_range"
    status = 416

    def __init__(self, *, size: int) -> None:
        super().__init__(f"one range `bytes=FIRST-LAST` of 0 to {size - 1} is served at a time")


@router.put(
    "/blobs/{digest}",
    status_code=201,
    dependencies=[may("blob.write")],
    openapi_extra={"requestBody": {"required": True, "content": {OCTETS: {}}}},
)
async def upload(
    digest: str, request: Request, parts: Parts, moving: Moving, caller: Caller
) -> BlobAnswer:
    """Store the body's bytes, which must hash to the digest; the answer never tells more."""
    checked_digest(digest)
    async with spooled(request) as spool:
        return await moving.threads.run(_keep, parts, spool, digest, caller.name)


@router.get("/blobs/{digest}", dependencies=[may("blob.write")])
def show_blob(digest: str, reading: Reading, caller: Caller) -> BlobAnswer:
    """Say whether bytes of that digest are stored, to who brought them or may read them."""
    with reading() as session:
        blob = file_access.get_known_blob(session, checked_digest(digest), caller)
    return BlobAnswer(digest=blob.digest, size=blob.size, state=blob.state)


@router.get(
    "/models/{model}/versions/{number}/blobs/{digest}",
    response_class=Response,
    dependencies=[may("read")],
)
async def download(
    model: str,
    number: Number,
    digest: str,
    parts: Parts,
    moving: Moving,
    wanted: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """Send the bytes of one file of a version, or one range of them."""
    file = await moving.threads.run(_readable, parts, model, number, digest)
    headers = {**HEADERS, "ETag": f'"{digest}"'}
    if wanted is None:
        pieces = await moving.threads.run(_opened, parts, file)
        headers["Content-Length"] = str(file.size)
        return StreamingResponse(moving.threads.iterate(pieces), 200, headers, OCTETS)
    start, end = _range(wanted, file.size)
    pieces = await moving.threads.run(_opened_range, moving.room, file, start, end)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    return StreamingResponse(moving.threads.iterate(pieces), 206, headers, OCTETS)


@router.get("/models/{model}/versions/{number}/blobs/{digest}/location", dependencies=[may("read")])
async def locate(
    model: str, number: Number, digest: str, parts: Parts, moving: Moving
) -> LocationAnswer:
    """Say where to GET a file of a version by ranges: at the store itself, or (null) here."""
    file = await moving.threads.run(_readable, parts, model, number, digest)
    if moving.room.direct is None:
        return LocationAnswer(url=None, seconds=0)
    url = await moving.threads.run(moving.room.direct.blob_url, file.digest)
    return LocationAnswer(url=url, seconds=URL_SECONDS)


def _keep(parts: ApiParts, spool: Spool, digest: str, owner: str) -> BlobAnswer:
    """Store spooled bytes and write their row; the store works while no session is open."""
    parts.store.put(digest, spool.file, spool.size)
    with parts.database.writing() as session:
        blob = BlobFile(digest, spool.size)
        uploads.keep_blob(session, parts.store, blob, now=parts.clock.now(), owner=owner)
    return BlobAnswer(digest=digest, size=spool.size, state="verified")


def _readable(parts: ApiParts, model: str, number: int, digest: str) -> ReadableFile:
    with parts.database.reading() as session:
        file = file_access.get_readable_file(session, model, number, digest)
    if file.suspect and not _look_again(parts, file):
        raise BlobCorruptError(expected=digest, actual="other bytes")
    return file


def _opened(parts: ApiParts, file: ReadableFile) -> Iterator[bytes]:
    """Read the first piece before the answer begins: what fails here is a problem, not a cut."""
    with ExitStack() as stack:
        reader = stack.enter_context(uploads.open_registered(parts.store, file.digest))
        try:
            first = reader.read()
        except BlobCorruptError:
            _look_again(parts, file)
            raise
        rest = stack.pop_all()

    def pieces() -> Iterator[bytes]:
        with rest:
            yield first
            try:
                yield from reader.chunks()
            except BlobCorruptError:
                _look_again(parts, file)
                raise

    return pieces()


def _look_again(parts: ApiParts, file: ReadableFile) -> bool:
    """Hash a blob anew and write down whether it is whole: the next request will ask."""
    return file_access.look_again(parts.database, parts.store, file, now=parts.clock.now())


def _opened_range(room: UploadRoom, file: ReadableFile, start: int, end: int) -> Iterator[bytes]:
    with ExitStack() as stack:
        source = stack.enter_context(uploads.open_range(room.transfers, file.digest, start, end))
        first = source.read(CHUNK_BYTES)
        rest = stack.pop_all()

    def pieces() -> Iterator[bytes]:
        with rest:
            yield first
            while piece := source.read(CHUNK_BYTES):
                yield piece

    return pieces()


def _range(wanted: str, size: int) -> tuple[int, int]:
    """Return start and end (exclusive) of the one range that is wanted."""
    found = _RANGE.fullmatch(wanted)
    start = int(found[1]) if found else size
    end = min(int(found[2]) + 1 if found and found[2] else size, size)
    if start >= end:
        raise InvalidRangeError(size=size)
    return start, end
