"""Uploads and ranges of the S3 store, and what clients may do there by presigned URLs.

What always holds: a presigned PUT is for one part of one multipart upload to `uploads/<session>`,
never for a blob; URLs hold five minutes, are signed with SigV4 and are never logged; what a client
wrote is hashed by us before the store copies it to its digest's name, and hashed again there.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mlreg.registry.artifacts.errors import BlobNotFoundError, ObjectMissingError
from mlreg.registry.artifacts.pieces import JoinedSource
from mlreg.registry.artifacts.s3 import COPY_SECONDS, NamedSource, S3Store, make_client
from mlreg.registry.artifacts.transfers import (
    URL_SECONDS,
    StoredPart,
    is_session,
    upload_key,
)
from mlreg.registry.artifacts.verifying import check_source, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from mlreg.registry.artifacts.settings import S3Settings
    from mlreg.registry.artifacts.transfers import DirectTransfers, Transfers
    from mlreg.registry.artifacts.verified import Source

MAX_COPY_BYTES = 5 * 2**30
_TORN = ".rclone_temp_put_"


class S3Transfers:
    """Pieces as objects `uploads/<session>/<piece>`; a client's own parts become one object."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._copying = make_client(store.settings, read_seconds=COPY_SECONDS)

    def append(self, session: str, piece: str, source: BinaryIO) -> None:
        """See `Transfers.append`."""
        with self._store.named_errors():
            place = self._store.place(upload_key(session, piece))
            self._store.client.put_object(**place, Body=source)

    def adopt(self, session: str, pieces: Sequence[str], digest: str, size: int) -> None:
        """See `Transfers.adopt`."""
        keys = [upload_key(session, piece) for piece in pieces] or [upload_key(session)]
        with JoinedSource([partial(self._opened, key) for key in keys]) as joined:
            source = cast("BinaryIO", joined)
            if pieces or size > MAX_COPY_BYTES:
                self._store.put(digest, source, size)
                return
            check_source(source, digest, size)
        self._store.put_copy(digest, partial(self._copy, keys[0]))

    def discard(self, session: str) -> None:
        """See `Transfers.discard`."""
        with self._store.named_errors():
            for multipart in self._multiparts(upload_key(session)):
                self._abort(multipart)
            for key in self._keys(upload_key(session)):
                self._store.client.delete_object(**self._store.place(key))

    def stale(self, before: datetime) -> Iterable[str]:
        """See `Transfers.stale`."""
        with self._store.named_errors():
            for multipart in self._multiparts("blobs/"):
                if multipart["Initiated"] < before:
                    self._abort(multipart)
            for key in self._keys("", before):
                if key.rpartition("/")[2].startswith(_TORN):
                    self._store.client.delete_object(**self._store.place(key))
            found = [*self._keys("uploads/", before)]
            found += [
                multipart["Key"].removeprefix(self._store.place("")["Key"])
                for multipart in self._multiparts("uploads/")
                if multipart["Initiated"] < before
            ]
        names = {key.split("/")[1] for key in found}
        return sorted(name for name in names if is_session(name))

    @contextmanager
    def read_range(self, digest: str, start: int, end: int) -> Iterator[Source]:
        """See `Transfers.read_range`."""
        place, wanted = self._store.place(key_of(digest)), f"bytes={start}-{end - 1}"
        try:
            with self._store.named_errors():
                body = self._store.client.get_object(**place, Range=wanted)["Body"]
        except ObjectMissingError as error:
            raise BlobNotFoundError(digest=digest) from error
        with body:
            yield NamedSource(body, self._store)

    @contextmanager
    def _opened(self, key: str) -> Iterator[Source]:
        with self._store.stream(key) as source:
            if source is None:
                raise ObjectMissingError(where=self._store.where)
            yield source

    def _copy(self, source: str, target: str) -> None:
        with self._store.named_errors():
            place: Any = self._store.place(source)
            self._copying.copy_object(**self._store.place(target), CopySource=place)

    def _keys(self, prefix: str, before: datetime | None = None) -> Iterator[str]:
        root = self._store.place("")["Key"]
        pages = self._store.client.get_paginator("list_objects_v2")
        place = self._store.place(prefix)
        for page in pages.paginate(Bucket=place["Bucket"], Prefix=place["Key"]):
            for item in page.get("Contents", ()):
                if before is None or item["LastModified"] < before:
                    yield item["Key"].removeprefix(root)

    def _multiparts(self, prefix: str) -> list[Any]:
        place = self._store.place(prefix)
        with suppress(ObjectMissingError), self._store.named_errors():  # rclone's word for none
            answer = self._store.client.list_multipart_uploads(
                Bucket=place["Bucket"], Prefix=place["Key"]
            )
            return list(answer.get("Uploads", ()))
        return []

    def _abort(self, multipart: Any) -> None:  # noqa: ANN401 - boto3's own record
        place = {**self._store.place(""), "Key": multipart["Key"]}
        with suppress(ObjectMissingError), self._store.named_errors():
            self._store.client.abort_multipart_upload(**place, UploadId=multipart["UploadId"])


class S3Direct:
    """What clients do at the store by themselves."""

    def __init__(self, store: S3Store, public: S3Settings) -> None:
        self._store = store
        self._signer = make_client(public)
        self._joining = make_client(store.settings, read_seconds=COPY_SECONDS)

    def begin(self, session: str) -> str:
        """See `DirectTransfers.begin`."""
        with self._store.named_errors():
            place = self._store.place(upload_key(session))
            return self._store.client.create_multipart_upload(**place)["UploadId"]

    def part_urls(self, session: str, multipart: str, numbers: Sequence[int]) -> Sequence[str]:
        """See `DirectTransfers.part_urls`."""
        place = self._store.place(upload_key(session))
        return [
            self._signer.generate_presigned_url(
                "upload_part",
                Params={**place, "UploadId": multipart, "PartNumber": number},
                ExpiresIn=URL_SECONDS,
            )
            for number in numbers
        ]

    def list_parts(self, session: str, multipart: str) -> Sequence[StoredPart]:
        """See `DirectTransfers.list_parts`."""
        found: list[StoredPart] = []
        place, marker = self._store.place(upload_key(session)), 0
        with self._store.named_errors():
            while True:
                page: Any = self._store.client.list_parts(
                    **place, UploadId=multipart, PartNumberMarker=marker
                )
                found += [
                    StoredPart(part["PartNumber"], part["ETag"], part["Size"])
                    for part in page.get("Parts", ())
                ]
                if not page.get("IsTruncated"):
                    return found
                marker = page["NextPartNumberMarker"]

    def complete(self, session: str, multipart: str, parts: Sequence[StoredPart]) -> int:
        """See `DirectTransfers.complete`.

        The size is that of the parts, listed before they are joined: to be asked for the joined
        object, some stores read all of it (rclone hashes it for its entity tag, 1.5 s a gigabyte).
        """
        place = self._store.place(upload_key(session))
        listed: list[Any] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            sizes = {part.number: part.size for part in self.list_parts(session, multipart)}
            with self._store.named_errors():
                self._joining.complete_multipart_upload(
                    **place, UploadId=multipart, MultipartUpload={"Parts": listed}
                )
        except ObjectMissingError:  # completed before?
            with self._store.named_errors():
                return int(self._store.client.head_object(**place)["ContentLength"])
        return sum(sizes.get(part.number, 0) for part in parts)

    def blob_url(self, digest: str) -> str:
        """See `DirectTransfers.blob_url`."""
        place = {
            **self._store.place(key_of(digest)),
            "ResponseContentDisposition": "attachment",
            "ResponseContentType": "application/octet-stream",
        }
        return self._signer.generate_presigned_url(
            "get_object", Params=place, ExpiresIn=URL_SECONDS
        )


_TRANSFERS: type[Transfers] = S3Transfers
_DIRECT: type[DirectTransfers] = S3Direct
