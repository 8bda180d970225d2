"""Routes of bytes: upload under their digest, download as part of a version.

What always holds: an upload is kept only if its bytes hash to the digest in its path; a download's
last piece is sent only after the whole hashed right, else the connection is cut; bytes are served
as an attachment of no type, so that no browser renders them.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mlreg.client.wire.blobs import BlobAnswer
from mlreg.registry.api.context import Parts, Reading, Store
from mlreg.registry.api.permission import may
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import InvalidError, StorageFullError
from mlreg.registry.domain.references import MAX_NUMBER
from mlreg.registry.services import catalog, uploads
from mlreg.registry.services.uploads import BlobFile

router = APIRouter(tags=["blobs"])
OCTETS = "application/octet-stream"
BUFFER_BYTES = 2**20
HEADERS = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


class UploadBrokenOffError(InvalidError):
    """The client went away before the body ended; nothing was stored."""

    code = "upload_broken_off"

    def __init__(self) -> None:
        super().__init__("the upload broke off; nothing was stored")


@router.put(
    "/blobs/{digest}",
    status_code=201,
    dependencies=[may("blob.write")],
    openapi_extra={"requestBody": {"required": True, "content": {OCTETS: {}}}},
)
async def upload(digest: str, request: Request, parts: Parts) -> BlobAnswer:
    """Store the body's bytes, which must hash to the digest."""
    checked_digest(digest)
    with _named_errors(), tempfile.TemporaryFile() as spool:  # unnamed: a kill leaves nothing
        buffer = bytearray()
        async for piece in request.stream():
            buffer += piece
            if len(buffer) >= BUFFER_BYTES:
                await run_in_threadpool(spool.write, bytes(buffer))
                buffer.clear()
        spool.write(buffer)
        return await run_in_threadpool(_keep, parts, spool, digest)


@router.get("/blobs/{digest}", dependencies=[may("blob.write")])
def show_blob(digest: str, reading: Reading) -> BlobAnswer:
    """Say whether bytes of that digest are stored."""
    with reading() as session:
        blob = uploads.get_blob(session, digest)
    return BlobAnswer(digest=blob.digest, size=blob.size, state=blob.state)


@router.get(
    "/models/{model}/versions/{number}/blobs/{digest}",
    response_class=Response,
    dependencies=[may("read")],
)
def download(
    model: str,
    number: Annotated[int, Path(ge=1, le=MAX_NUMBER)],
    digest: str,
    reading: Reading,
    store: Store,
) -> StreamingResponse:
    """Send the bytes of one file of a version."""
    with reading() as session:
        version = catalog.get_version(session, catalog.get_model(session, model), number)
        manifest = catalog.get_manifest(session, version)
    sizes = {file.digest: file.size for file in manifest.files}
    if digest not in sizes:
        raise BlobNotFoundError(digest=digest)
    headers = {**HEADERS, "Content-Length": str(sizes[digest])}
    return StreamingResponse(_opened(store, digest), media_type=OCTETS, headers=headers)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Name what can go wrong while a body is spooled to this machine's temporary folder."""
    try:
        yield
    except ClientDisconnect as error:
        raise UploadBrokenOffError from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFullError(where="the server's temporary folder") from error
        raise


def _keep(parts: Parts, spool: BinaryIO, digest: str) -> BlobAnswer:
    """Store spooled bytes and write their row; the store works while no session is open."""
    size = spool.seek(0, 2)
    parts.store.put(digest, spool, size)
    with parts.database.writing() as session:
        uploads.keep_blob(session, parts.store, BlobFile(digest, size), now=parts.clock.now())
    return BlobAnswer(digest=digest, size=size, state="verified")


def _opened(store: ArtifactStore, digest: str) -> Iterator[bytes]:
    """Read the first piece before the answer begins: what fails here is a problem, not a cut."""
    with ExitStack() as stack:
        reader = stack.enter_context(uploads.open_registered(store, digest))
        first = reader.read()
        rest = stack.pop_all()

    def pieces() -> Iterator[bytes]:
        with rest:
            yield first
            yield from reader.chunks()

    return pieces()
