"""The S3 store: blobs as objects of one bucket, at any endpoint that speaks S3.

What always holds: requests are signed with SigV4 and bear the sha256 that is expected; writes ask
for `If-None-Match: *` as long as the server understands it, and are harmless where it is ignored,
for equal keys mean equal bytes; waiting is bounded (time-outs, four attempts in all).
"""

from __future__ import annotations

import base64
import secrets
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override
from urllib3.exceptions import HTTPError

from mlreg.registry.artifacts.errors import (
    ObjectMissingError,
    StoreRefusedError,
    StoreUnreachableError,
)
from mlreg.registry.artifacts.store import Capabilities
from mlreg.registry.artifacts.verifying import VerifyingStore
from mlreg.registry.domain.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from mypy_boto3_s3 import S3Client

    from mlreg.registry.artifacts.settings import S3Settings
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.artifacts.verified import Source

PART_BYTES = 16 * 2**20
CONNECT_SECONDS = 5
READ_SECONDS = 10
COPY_SECONDS = 600
ATTEMPTS = 3
CONFLICT_ATTEMPTS = 5
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_TAKEN = {"412", "PreconditionFailed"}
_CONFLICT = {"409", "ConditionalRequestConflict"}
_NOT_UNDERSTOOD = {"501", "NotImplemented"}
_FULL = {"507", "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "EntityTooLarge"}


class S3Store(VerifyingStore):
    """Blobs in a bucket, under a prefix."""

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        self.where = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.settings = settings
        self.client = make_client(settings)
        self._conditional = True

    def probe(self) -> Capabilities:
        """See `ArtifactStore.probe`."""
        key = f"probe/{secrets.token_hex(16)}"
        try:
            with self.named_errors():
                self._write(key, b"probe", condition=False)
                return Capabilities(
                    kind="s3",
                    where=self.where,
                    create_only=self._refuses(key, IfNoneMatch="*"),
                    refuses_wrong_checksum=self._refuses(
                        f"{key}-wrong", ChecksumSHA256=_base64(bytes(32))
                    ),
                    range_reads=self._reads_ranges(key),
                )
        finally:
            for name in (key, f"{key}-wrong"):
                with suppress(StoreUnreachableError, StoreRefusedError):
                    self._delete(name)

    @override
    def _create(self, key: str, source: BinaryIO, size: int) -> bool:
        with self.named_errors():
            if self._size(key) is not None:
                return False
            for attempt in range(1, CONFLICT_ATTEMPTS + 1):
                source.seek(0)
                try:
                    self._upload(key, source, size, condition=self._conditional)
                except ClientError as error:
                    if _code(error) in _TAKEN:
                        return False
                    if not self._is_worth_repeating(error, attempt):
                        raise
                else:
                    return True
        return False

    def _is_worth_repeating(self, error: ClientError, attempt: int) -> bool:
        """Whether to upload again: another was at it, or without the condition, from now on."""
        if _code(error) in _NOT_UNDERSTOOD and self._conditional:
            self._conditional = False
            return True
        return _code(error) in _CONFLICT and attempt < CONFLICT_ATTEMPTS

    @override
    def _replace(self, key: str, source: BinaryIO, size: int) -> None:
        with self.named_errors():
            self._upload(key, source, size, condition=False)

    @override
    @contextmanager
    def _stream(self, key: str) -> Iterator[Source | None]:
        with self.named_errors():
            try:
                answer = self.client.get_object(**self.place(key))
            except ClientError as error:
                if _code(error) not in _MISSING:
                    raise
                body = None
            else:
                body = answer["Body"]
        if body is None:
            yield None
            return
        with body:
            yield NamedSource(body, self)

    @override
    def _size(self, key: str) -> int | None:
        with self.named_errors():
            try:
                answer = self.client.head_object(**self.place(key))
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            return int(answer["ContentLength"])

    @override
    def _delete(self, key: str) -> None:
        with self.named_errors():
            self.client.delete_object(**self.place(key))

    def _upload(self, key: str, source: BinaryIO, size: int, *, condition: bool) -> None:
        if size <= PART_BYTES:
            self._write(key, source.read(PART_BYTES + 1), condition=condition)
        else:
            self._write_parts(key, source, condition=condition)

    def _write(self, key: str, body: bytes, *, condition: bool) -> None:
        extra: dict[str, Any] = {"IfNoneMatch": "*"} if condition else {}
        hexadecimal = key.rpartition("/")[2]
        if key.startswith("blobs/"):
            extra["ChecksumSHA256"] = _base64(bytes.fromhex(hexadecimal))
        self.client.put_object(**self.place(key), Body=body, **extra)

    def _write_parts(self, key: str, source: BinaryIO, *, condition: bool) -> None:
        place: dict[str, Any] = self.place(key)
        extra: dict[str, Any] = {"IfNoneMatch": "*"} if condition else {}
        upload = self.client.create_multipart_upload(**place)["UploadId"]
        with ExitStack() as undo:
            undo.callback(self._abort, place, upload)
            parts: list[Any] = []
            while piece := source.read(PART_BYTES):
                number = len(parts) + 1
                answer = self.client.upload_part(
                    **place, UploadId=upload, PartNumber=number, Body=piece
                )
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self.client.complete_multipart_upload(
                **place, UploadId=upload, MultipartUpload={"Parts": parts}, **extra
            )
            undo.pop_all()

    def _abort(self, place: Mapping[str, Any], upload: str) -> None:
        with suppress(BotoCoreError, ClientError):
            self.client.abort_multipart_upload(**place, UploadId=upload)

    def _refuses(self, key: str, **extra: Any) -> bool:  # noqa: ANN401 - as put_object
        try:
            self.client.put_object(**self.place(key), Body=b"probe", **extra)
        except ClientError as error:
            return _code(error) not in _NOT_UNDERSTOOD
        return False

    def _reads_ranges(self, key: str) -> bool:
        answer = self.client.get_object(**self.place(key), Range="bytes=1-2")
        with answer["Body"] as body:
            return bytes(body.read()) == b"ro"

    def stream(self, key: str) -> AbstractContextManager[Source | None]:
        """Open an object's bytes, None if there is no such object."""
        return self._stream(key)

    def place(self, key: str) -> dict[str, Any]:
        """Return bucket and key of an object, as the client takes them."""
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Give what the client library raises our names."""
        try:
            yield
        except ClientError as error:
            raise self._named(error) from error
        except (BotoCoreError, HTTPError, OSError) as error:
            raise StoreUnreachableError(where=self.where, cause=_first_line(error)) from error

    def _named(self, error: ClientError) -> Exception:
        if _code(error) in _MISSING:
            return ObjectMissingError(where=self.where)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if _code(error) in _FULL or "no space left" in str(error).casefold():
            return StorageFullError(where=self.where)
        if 400 <= status < 500:  # noqa: PLR2004 - HTTP's own border
            return StoreRefusedError(where=self.where, cause=_first_line(error))
        return StoreUnreachableError(where=self.where, cause=_first_line(error))


class NamedSource:
    """An object's body whose outages bear our names."""

    def __init__(self, body: Source, store: S3Store) -> None:
        self._body = body
        self._store = store

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes.

        Raises:
            StoreUnreachableError: the connection broke, stalled, or ended too early.
        """
        with self._store.named_errors():
            return self._body.read(amount)


def make_client(settings: S3Settings, *, read_seconds: int | None = None) -> S3Client:
    """Return a client that signs with SigV4, waits a bounded time and leaves checking to us."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region or "us-east-1",
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        config=Config(
            signature_version="s3v4",
            # rclone's ranges fail boto3's own check; ours is stricter (boto3 issue 4392)
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds or READ_SECONDS,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
        ),
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


_PROOF: type[ArtifactStore] = S3Store
