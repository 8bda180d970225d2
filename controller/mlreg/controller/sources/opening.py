"""The one place that plugs this room together: names and connections → sources, places, files."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.connections import BucketConnection, Connections, FolderConnection
from mlreg.controller.domain.sources import FrozenFile, FrozenSource, SourceName, fixed_part
from mlreg.controller.sources.folder import Folder
from mlreg.controller.sources.parquet import ParquetFiles, Reached
from mlreg.controller.sources.reading import Readable
from mlreg.controller.sources.source import DigestMemory, NoMemory, Place, Source
from mlreg.registry.artifacts.errors import BlobNotFoundError
from mlreg.registry.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlreg.controller.domain.sources import Columns
    from mlreg.controller.sources.reading import Open


@dataclass(frozen=True, slots=True)
class Reach:
    """What a model may read: the connections of the server, and the store that keeps answers."""

    connections: Connections
    store: ArtifactStore
    model: str


def check_reach(name: SourceName, connections: Connections, model: str) -> None:
    """Say whether a connection lets a model read a source, asking nobody.

    Raises:
        ConnectionNotFoundError, SourceNotAllowedError: none does.
    """
    if name.kind == "sql":
        connections.postgres(str(name.connection), model)
    else:
        connections.covering(fixed_part(name.url), model, name.connection)


def open_source(
    name: SourceName, columns: Columns, reach: Reach, memory: DigestMemory | None = None
) -> Source:
    """Return what a name means; nothing is read yet.

    Raises:
        ConnectionNotFoundError, SourceNotAllowedError: no connection lets the model read it.
        DeltaNotInstalledError: a Delta table, without the package that reads its log.
    """
    if name.kind == "sql":
        from mlreg.controller.sources.sql import Asked, SqlQuery  # noqa: PLC0415 - only where used

        connection = reach.connections.postgres(str(name.connection), reach.model)
        return SqlQuery(Asked(name, connection, columns, reach.store))
    called, covering = reach.connections.covering(
        fixed_part(name.url), reach.model, name.connection
    )
    reached = Reached(name, called, open_place(covering), columns, memory or NoMemory())
    if name.kind == "parquet":
        return ParquetFiles(reached)
    from mlreg.controller.sources.delta import DeltaTable  # noqa: PLC0415 - an extra, and 60 MB

    return DeltaTable(reached, covering)


def open_place(connection: FolderConnection | BucketConnection) -> Place:
    """Return the place that a connection covers."""
    if isinstance(connection, FolderConnection):
        return Folder(connection.path)
    from mlreg.controller.sources.bucket import Bucket  # noqa: PLC0415 - starts threads of its own

    return Bucket(connection)


def opener(frozen: FrozenSource, reach: Reach) -> Open:
    """Return what opens the files of a frozen source.

    Raises:
        ConnectionNotFoundError, SourceNotAllowedError: the connection covers it no more.
    """
    if frozen.kind == "sql":
        return _blobs(reach.store)
    places: dict[str, Place] = {}

    @contextmanager
    def opened(file: FrozenFile) -> Iterator[Readable]:
        called, covering = reach.connections.covering(file.path, reach.model, frozen.connection)
        place = places.setdefault(called, open_place(covering))
        with place.open(file.path) as found:
            yield Readable(found.file.read)

    return opened


def _blobs(store: ArtifactStore) -> Open:
    @contextmanager
    def opened(file: FrozenFile) -> Iterator[Readable]:
        try:
            with store.open(file.digest) as reader:
                yield Readable(reader.read)
        except BlobNotFoundError as error:
            raise FileNotFoundError(file.digest) from error

    return opened
