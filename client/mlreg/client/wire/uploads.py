"""Uploads that can be resumed, and where large files are read, over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from mlreg.client.wire.base import Answer, Count, Request
from mlreg.client.wire.models import ShortText

MAX_URLS = 100
PartNumber = Annotated[int, Field(ge=1, le=10_000)]


class UploadRequest(Request):
    """An upload to begin.

    Attributes:
        size: in bytes, if it is known; the upload is refused in the end if it has another.
        direct: whether the client can write to the store itself, by URLs that the server signs.
    """

    size: Annotated[Count, Field(ge=1)] | None = None
    direct: bool = False


class PartForm(Request):
    """A part that the client wrote into the store, with the entity tag that the store gave it."""

    number: PartNumber
    etag: ShortText


class FinishRequest(Request):
    """The parts of a direct upload, in their order; none for another."""

    parts: Annotated[list[PartForm], Field(max_length=10_000)] = Field(default_factory=list)


class UrlsRequest(Request):
    """The parts to be written next."""

    numbers: Annotated[list[PartNumber], Field(min_length=1, max_length=MAX_URLS)]


class UploadAnswer(Answer):
    """An upload.

    Attributes:
        state: `open`; `uploaded` (all bytes are there, verification follows); `verified` (a blob);
            `failed`, then `problem` is the code of the reason.
        offset: how many bytes are there, for one that goes through the server.
        part_bytes: the size of every part but the last, for one that does not.
        expires_at: when an upload that is not finished is removed.
    """

    id: str
    state: Literal["open", "uploaded", "verified", "failed"]
    offset: int
    size: int | None
    digest: str | None
    direct: bool
    part_bytes: int
    problem: str | None
    expires_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come."""
        return self.state in {"open", "uploaded"}


class PartAnswer(Answer):
    """A part as the store has it."""

    number: int
    etag: str
    size: int


class PartsAnswer(Answer):
    """The parts that are in the store, in their order."""

    parts: list[PartAnswer]


class UrlsAnswer(Answer):
    """Where to PUT each part that was asked for; the URLs are secrets, for a few minutes."""

    urls: list[str]
    seconds: int


class LocationAnswer(Answer):
    """Where to GET a file: at a URL that is a secret for some minutes, or (None) here."""

    url: str | None
    seconds: int
