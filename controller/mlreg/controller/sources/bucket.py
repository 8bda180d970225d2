"""A bucket as a place, by pyarrow's own S3 client: its reads are parallel, and it needs no boto3.

What always holds: endpoint and key come from the connection alone; waiting is bounded (time-outs,
three attempts).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from mlreg.controller.domain.sources import fixed_part, pattern_of
from mlreg.controller.sources.errors import (
    SourceTooLargeError,
    SourceUnreachableError,
    first_line,
)
from mlreg.controller.sources.folder import MAX_FILES
from mlreg.controller.sources.source import Opened, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.controller.domain.connections import BucketConnection

S3 = "s3://"
os.environ.setdefault(  # noqa: TID251 - the library has no other way to be told
    "AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"
)  # some servers send the checksum of the whole object with a part of it; ours is stricter
CONNECT_SECONDS = 5
REQUEST_SECONDS = 10
ATTEMPTS = 3


class Bucket:
    """The objects that a connection covers."""

    def __init__(self, connection: BucketConnection) -> None:
        self._files = fs.S3FileSystem(**_options(connection))

    def find(self, url: str) -> Sequence[str]:
        """See `Place.find`."""
        start, pattern = fixed_part(url), pattern_of(url)
        found = sorted(
            f"{S3}{one.path}"
            for one in self._below(start.removeprefix(S3))
            if one.is_file
            and pattern.fullmatch(f"{S3}{one.path}") is not None
            and not _is_hidden(one.path.removeprefix(start.removeprefix(S3)))
        )
        if len(found) > MAX_FILES:
            raise SourceTooLargeError(source=url, amount=len(found), of="files", most=MAX_FILES)
        return found

    @contextmanager
    def open(self, url: str) -> Iterator[Opened]:
        """See `Place.open`."""
        try:
            with self._files.open_input_file(url.removeprefix(S3)) as file:
                size = file.size()
                tag = file.metadata().get("ETag", b"").decode()
                yield Opened(file, size, f"{tag}:{size}")
        except FileNotFoundError:
            raise FileNotFoundError(url) from None
        except pa.ArrowInvalid:
            raise  # it is about what stands in the file
        except OSError as error:
            raise SourceUnreachableError(where=url, cause=first_line(error)) from error

    def _below(self, start: str) -> list[fs.FileInfo]:
        try:
            alone = self._files.get_file_info(start)
            if alone.is_file:
                return [alone]
            found = self._files.get_file_info(fs.FileSelector(start, recursive=True))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SourceUnreachableError(where=f"{S3}{start}", cause=first_line(error)) from error
        return list(found)


def _options(connection: BucketConnection) -> dict[str, object]:
    endpoint = urlsplit(connection.endpoint_url or "https://")
    secret = connection.secret_access_key
    return {
        "access_key": connection.access_key_id,
        "secret_key": None if secret is None else secret.get_secret_value(),
        "endpoint_override": endpoint.netloc or None,
        "scheme": endpoint.scheme,
        "region": connection.region or "us-east-1",
        "connect_timeout": CONNECT_SECONDS,
        "request_timeout": REQUEST_SECONDS,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    }


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


_PROOF: type[Place] = Bucket
