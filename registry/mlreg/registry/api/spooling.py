"""Bodies on their way in: in memory while they are small, in an unnamed file when they are not."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mlreg.registry.domain.errors import InvalidError, StorageFullError

BUFFER_BYTES = 2**20
IN_MEMORY_BYTES = 4 * 2**20


class UploadBrokenOffError(InvalidError):
    """The client went away before the body ended; nothing was stored."""

    code = "upload_broken_off"

    def __init__(self) -> None:
        super().__init__("the upload broke off; nothing was stored")


class BodyTooLongError(InvalidError):
    """A body that goes on behind the end that was said; the rest of it is not taken."""

    code = "body_too_long"
    hint = "Send exactly as many bytes as the headers say."

    def __init__(self, *, most: int) -> None:
        super().__init__(f"the body is longer than the {most} bytes that were said")


@dataclass(frozen=True, slots=True)
class Spool:
    """A body that is here as a whole: a seekable file at its start, and its size in bytes."""

    file: BinaryIO
    size: int


@asynccontextmanager
async def spooled(request: Request, *, most: int | None = None) -> AsyncIterator[Spool]:
    """Take a request's body to its end; what it takes on disk has no name, so a kill leaves none.

    Args:
        request: whose body.
        most: the bytes that it may have; None is what the limit of its content type lets in.

    Raises:
        BodyTooLongError: it has more; they are not kept.
        UploadBrokenOffError: the client went away.
        StorageFullError: the server's temporary folder is full.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        with _named_errors():
            buffer, came = bytearray(), 0
            async for piece in request.stream():
                came += len(piece)
                if most is not None and came > most:
                    raise BodyTooLongError(most=most)
                buffer += piece
                if len(buffer) >= BUFFER_BYTES:
                    await run_in_threadpool(file.write, bytes(buffer))
                    buffer.clear()
            file.write(buffer)
        size = file.tell()
        file.seek(0)
        yield Spool(cast("BinaryIO", file), size)


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
