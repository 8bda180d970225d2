"""Delta tables as a source: the files that one version of a table lists.

What always holds: `deltalake` reads the table's log and nothing else; rows come from the files by
our own reader, which hashes them. A table whose log asks for a reader that can do more (deletion
vectors, mapped columns) is refused, for its files alone do not say what its rows are.
"""

from __future__ import annotations

import posixpath
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from mlreg.controller.domain.connections import BucketConnection, FolderConnection
from mlreg.controller.domain.sources import FrozenSource, is_under
from mlreg.controller.sources.errors import (
    DeltaNotInstalledError,
    DeltaUnsupportedError,
    FileLeadsOutError,
    NoFilesError,
    SourceUnreachableError,
    TableNotFoundError,
    first_line,
)
from mlreg.controller.sources.folder import FILE
from mlreg.controller.sources.freezing import Listed, Wish, freeze_files

try:
    import deltalake
    from deltalake.exceptions import DeltaError
    from deltalake.exceptions import TableNotFoundError as NoTableError
except ModuleNotFoundError:  # the extra `delta` is not installed; said when a table is opened
    deltalake = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from deltalake import DeltaTable as Log

    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.sources.parquet import Reached
    from mlreg.controller.sources.source import Source

HARMLESS = frozenset({"timestampNtz"})
"""What a table may ask of readers that changes nothing about what stands in its files."""
OLDEST_WITH_FEATURES = 3


class DeltaTable:
    """One table, at the version that is asked for or the newest."""

    def __init__(self, reached: Reached, connection: FolderConnection | BucketConnection) -> None:
        if deltalake is None:
            raise DeltaNotInstalledError
        self._reached = reached
        self._connection = connection

    def freeze(self, span: Interval) -> FrozenSource:
        """See `Source.freeze`."""
        it = self._reached
        log = self._open()
        listed = _files_of(log, it.name.url)
        wish = Wish(it.place, it.columns, span, it.memory)
        try:
            files = freeze_files(it.name.spelt, listed, wish)
        except NoFilesError:
            files = ()  # a table may be empty, where a pattern that matches nothing is a mistake
        version = log.version()
        return FrozenSource("delta", it.name.spelt, it.connection, it.columns, files, version)

    def _open(self) -> Log:
        """Open the table's log.

        Raises:
            TableNotFoundError, DeltaUnsupportedError, FileLeadsOutError, SourceUnreachableError:
                it cannot be read.
        """
        name = self._reached.name
        self._check_log()
        try:
            log = deltalake.DeltaTable(
                name.url.removeprefix(FILE),
                version=name.version,
                storage_options=storage_options(self._connection),
            )
        except NoTableError as error:
            raise TableNotFoundError(table=name.spelt, cause="nothing is there") from error
        except (DeltaError, OSError, ValueError) as error:
            if name.version is not None and "version" in str(error):
                cause = f"version {name.version}: {first_line(error)}"
                raise TableNotFoundError(table=name.spelt, cause=cause) from error
            raise SourceUnreachableError(where=name.spelt, cause=first_line(error)) from error
        _check_protocol(log, name.spelt)
        return log

    def _check_log(self) -> None:
        """Have the place say whether the log lies in it; `deltalake` follows any link."""
        if isinstance(self._connection, FolderConnection):
            self._reached.place.find(f"{self._reached.name.url}/_delta_log")


def storage_options(connection: FolderConnection | BucketConnection) -> dict[str, str] | None:
    """Return a connection as `deltalake` takes it."""
    if isinstance(connection, FolderConnection):
        return None
    secret = connection.secret_access_key
    given = {
        "AWS_REGION": connection.region or "us-east-1",
        "AWS_ENDPOINT_URL": connection.endpoint_url,
        "AWS_ACCESS_KEY_ID": connection.access_key_id,
        "AWS_SECRET_ACCESS_KEY": None if secret is None else secret.get_secret_value(),
        "AWS_ALLOW_HTTP": str((connection.endpoint_url or "").startswith("http:")).lower(),
        "timeout": "10s",
        "connect_timeout": "5s",
        "max_retries": "2",
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_protocol(log: Log, table: str) -> None:
    protocol = log.protocol()
    asked = set(protocol.reader_features or ()) - HARMLESS
    mode = log.metadata().configuration.get("delta.columnMapping.mode", "none")
    if mode != "none":
        asked.add("columnMapping")
    if protocol.min_reader_version > OLDEST_WITH_FEATURES:
        asked.add(f"reader version {protocol.min_reader_version}")
    if asked:
        raise DeltaUnsupportedError(table=table, features=", ".join(sorted(asked)))


def _files_of(log: Log, url: str) -> list[Listed]:
    """Return the files of a version with their partitions; paths are quoted as URLs are."""
    found = pa.table(log.get_add_actions(flatten=False)).to_pylist()
    listed = []
    for one in found:
        path = unquote(one["path"])
        file = posixpath.normpath(f"/{path}") if "://" not in path else path
        place = f"{url}{file}"
        if "://" in path or not is_under(place, url) or ".." in path.split("/"):
            raise FileLeadsOutError(file=path, root=url)
        partitions = {name: _spelt(value) for name, value in (one.get("partition") or {}).items()}
        listed.append(Listed(place, partitions))
    return sorted(listed, key=lambda one: one.url)


def _spelt(value: Any) -> str | None:  # noqa: ANN401 - a partition's value is of any simple type
    """Return a partition's value as text that casting reads back as that value."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(Decimal(value)) if isinstance(value, Decimal) else str(value)


_PROOF: type[Source] = DeltaTable
