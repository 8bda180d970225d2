"""Checkpoints as objects of an S3 bucket, under Object Lock where the operator asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlreg.registry.artifacts.errors import InvalidStoreUrlError
from mlreg.registry.artifacts.s3 import S3Store

if TYPE_CHECKING:
    from mlreg.registry.artifacts.settings import S3Settings
    from mlreg.registry.witnesses.witness import Witness


class S3Witness:
    """Keeps each checkpoint as one object, named by its size."""

    def __init__(self, url: str, settings: S3Settings, retention_days: int | None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise InvalidStoreUrlError(url=url)
        self.where = url
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        self._store = S3Store(self._bucket, self._prefix, settings)
        self._retention_days = retention_days

    def keep(self, note: str, size: int) -> None:
        """See `Witness.keep`."""
        with self._store.named_errors():
            self._store.client.put_object(
                Bucket=self._bucket,
                Key=self.key(size),
                Body=note.encode(),
                ContentType="text/plain; charset=utf-8",
                ChecksumAlgorithm="SHA256",  # Object Lock asks for one
                **self._lock(),
            )

    def key(self, size: int) -> str:
        """Return the object's name: sizes sort as numbers do."""
        return f"{self._prefix}/checkpoints/{size:020}".lstrip("/")

    def _lock(self) -> Any:  # noqa: ANN401 - keyword arguments of boto3's
        if self._retention_days is None:
            return {}
        until = datetime.now(UTC) + timedelta(days=self._retention_days)  # noqa: TID251 - real time
        return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}


_PROOF: tuple[type[Witness], ...] = (S3Witness,)
