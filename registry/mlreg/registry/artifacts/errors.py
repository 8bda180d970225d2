"""What a store refuses, as leaves of the registry's tree."""

from __future__ import annotations

from mlreg.registry.domain.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)


class WrongBytesError(InvalidError):
    """The bytes that were sent are not those of the digest that was sent with them."""

    code = "digest_mismatch"
    hint = "Send the file again; nothing was stored."

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(f"the bytes sent are {actual}, not {expected}")


class WrongSizeError(InvalidError):
    """The bytes that were sent are more or fewer than was said."""

    code = "size_mismatch"
    hint = "Send the file again; nothing was stored."

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(f"{actual} bytes were sent, not {expected}")


class BlobNotFoundError(NotFoundError):
    """The store has no bytes of that digest."""

    code = "blob_not_found"

    def __init__(self, *, digest: str) -> None:
        super().__init__(f"no blob {digest}")


class BlobCorruptError(IntegrityError):
    """The store returned other bytes than those that were registered."""

    code = "blob_corrupt"
    hint = "Do not use the file. Register it again to repair the store, or restore a backup."

    def __init__(self, *, expected: str, actual: str) -> None:
        self.actual = actual
        super().__init__(f"blob {expected} came back from the store as {actual}")


class StoreUnreachableError(UnavailableError):
    """The store gave no answer, or broke off."""

    code = "store_unreachable"
    hint = "Check that the store runs and that MLREG_ARTIFACTS_URL and the endpoint name it."

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"the artifact store {where} cannot be reached: {cause}")


class StoreRefusedError(UnavailableError):
    """The store answered, and said no: credentials, bucket or permissions are wrong."""

    code = "store_refused"
    hint = "Check the bucket, the credentials and the permissions of the artifact store."

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"the artifact store {where} refuses: {cause}")


class ObjectMissingError(NotFoundError):
    """The store has no such object or upload any more."""

    code = "object_missing"

    def __init__(self, *, where: str) -> None:
        super().__init__(f"the artifact store {where} has no such object")


class InvalidStoreUrlError(InvalidError):
    """A URL that names no store."""

    code = "invalid_store_url"
    hint = "Use file:///absolute/folder or s3://bucket/prefix."

    def __init__(self, *, url: str) -> None:
        super().__init__(f"{url!r} is not the URL of an artifact store")
