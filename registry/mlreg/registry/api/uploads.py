"""Routes of uploads that can be resumed: begin, add pieces, look, finish, cancel.

What always holds: an upload is its owner's alone; pieces come in order (else 416, and the offset is
where to go on); `finish` answers 400 when the bytes are not those of the digest, and they are gone;
presigned URLs are for the parts of the caller's own upload and stand in no log.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from mlreg.client.wire.uploads import (
    FinishRequest,
    PartAnswer,
    PartsAnswer,
    UploadAnswer,
    UploadRequest,
    UrlsAnswer,
    UrlsRequest,
)
from mlreg.registry.api.context import Caller
from mlreg.registry.api.permission import may
from mlreg.registry.api.spooling import BodyTooLongError, spooled
from mlreg.registry.api.transfer_parts import Moving, TransferParts
from mlreg.registry.artifacts.transfers import URL_SECONDS, StoredPart
from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.services import upload_sessions as uploads
from mlreg.registry.services.upload_verifying import verify_upload
from mlreg.registry.store.clock import SystemClock
from mlreg.registry.store.tables import UploadSession

router = APIRouter(prefix="/uploads", tags=["uploads"], dependencies=[may("blob.write")])
MAX_PIECE_BYTES = 64 * 2**20
_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/(?:\*|\d{1,18}))?")
OCTETS: dict[str, object] = {"application/octet-stream": {}}


class InvalidContentRangeError(InvalidError):
    """A piece that does not say which bytes it is, or says it wrongly."""

    code = "invalid_content_range"
    hint = "Send `Content-Range: bytes FIRST-LAST/*`, LAST included, and exactly those bytes."
    status = 416

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"the piece's Content-Range does not hold: {problem}")


class PieceTooLargeError(InvalidError):
    """A piece of an upload is larger than one may be."""

    code = "piece_too_large"
    status = 413

    def __init__(self) -> None:
        super().__init__(f"a piece has at most {MAX_PIECE_BYTES} bytes")


@router.post("", status_code=201)
async def begin(body: UploadRequest, moving: Moving, caller: Caller) -> UploadAnswer:
    """Begin an upload; one that is begun twice costs nothing and is swept after a day."""
    upload = await moving.threads.run(
        uploads.begin_upload,
        moving.room,
        size=body.size,
        direct=body.direct,
        actor=caller,
        now=SystemClock().now(),
    )
    return answer_of(upload)


@router.get("/{upload}")
async def show(upload: str, moving: Moving, caller: Caller) -> UploadAnswer:
    """Say how far an upload is; one whose verification was cut off is taken up again."""
    found = await _mine(moving, upload, caller)
    if found.state == "uploaded":
        moving.verifier.ask(found.id)
    return answer_of(found)


@router.patch(
    "/{upload}",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": OCTETS}},
)
async def append(
    upload: str,
    request: Request,
    moving: Moving,
    caller: Caller,
    content_range: Annotated[str, Header()] = "",
) -> UploadAnswer:
    """Add the body's bytes, which begin where the upload ends."""
    first, size = _range(content_range)
    found = await _mine(moving, upload, caller)
    uploads.check_appendable(found, first, size)  # before the bytes are taken
    try:
        async with spooled(request, most=size) as spool:
            if spool.size != size:
                raise InvalidContentRangeError(problem=f"{spool.size} bytes came, not {size}")
            await moving.threads.run(uploads.append, moving.room, found, first, spool.file)
    except BodyTooLongError as error:
        raise InvalidContentRangeError(problem=f"more than {size} bytes came") from error
    return answer_of(await _mine(moving, upload, caller))


@router.post("/{upload}/urls")
async def sign(upload: str, body: UrlsRequest, moving: Moving, caller: Caller) -> UrlsAnswer:
    """Say where to PUT parts of a direct upload, for five minutes."""
    found = await _mine(moving, upload, caller)
    urls = await moving.threads.run(uploads.part_urls, moving.room, found, body.numbers)
    return UrlsAnswer(urls=list(urls), seconds=URL_SECONDS)


@router.get("/{upload}/parts")
async def show_parts(upload: str, moving: Moving, caller: Caller) -> PartsAnswer:
    """List the parts of a direct upload that are in the store."""
    found = await _mine(moving, upload, caller)
    parts = await moving.threads.run(uploads.stored_parts, moving.room, found)
    answers = [PartAnswer(number=p.number, etag=p.etag, size=p.size) for p in parts]
    return PartsAnswer(parts=answers)


@router.put("/{upload}", response_model=UploadAnswer, status_code=202)
async def finish(
    upload: str,
    digest: Annotated[str, Query()],
    moving: Moving,
    caller: Caller,
    body: FinishRequest | None = None,
) -> Response:
    """Say that all bytes are there: 201 when they are a blob, 202 when that is yet to be seen."""
    found = await _mine(moving, upload, caller)
    parts = [StoredPart(part.number, part.etag, 0) for part in body.parts] if body else []
    await moving.threads.run(uploads.finish_upload, moving.room, found, digest, parts)
    if found.multipart is None:
        await moving.threads.run(verify_upload, moving.room, found.id)
    else:
        moving.verifier.ask(found.id)
    done = await _mine(moving, upload, caller)
    if done.state == "failed":
        raise uploads.UploadMismatchError(problem=done.problem or "it failed")
    status = 201 if done.state == "verified" else 202
    return JSONResponse(answer_of(done).model_dump(mode="json"), status)


@router.delete("/{upload}", status_code=204)
async def cancel(upload: str, moving: Moving, caller: Caller) -> None:
    """End an upload and remove its bytes; a blob that came of it stays."""
    found = await _mine(moving, upload, caller)
    await moving.threads.run(uploads.cancel_upload, moving.room, found)


def answer_of(upload: UploadSession) -> UploadAnswer:
    """Return an upload as it is answered."""
    return UploadAnswer(
        id=upload.id,
        state=cast("Literal['open', 'uploaded', 'verified', 'failed']", upload.state),
        offset=upload.received,
        size=upload.size,
        digest=upload.digest,
        direct=upload.multipart is not None,
        part_bytes=uploads.part_bytes(upload.size),
        problem=upload.problem,
        expires_at=upload.expires_at,
    )


async def _mine(moving: TransferParts, upload: str, caller: Actor) -> UploadSession:
    now = SystemClock().now()
    return await moving.threads.run(uploads.get_upload, moving.room, upload, actor=caller, now=now)


def _range(header: str) -> tuple[int, int]:
    """Return the first byte and the number of bytes that a Content-Range speaks of."""
    found = _RANGE.fullmatch(header)
    if found is None:
        raise InvalidContentRangeError(problem=f"{header[:80]!r}")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise InvalidContentRangeError(problem=f"{header[:80]!r}")
    if last - first >= MAX_PIECE_BYTES:
        raise PieceTooLargeError
    return first, last - first + 1
