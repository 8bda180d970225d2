"""Freezing users' own data for a model: before any transaction, and written down in a short one.

What always holds: nothing is asked of a bucket or a database while a transaction of ours is open;
the answer to a query is referred to by its snapshot, so it stays as long as that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.controller.domain.connections import Connections
from mlreg.controller.domain.sources import InvalidSourceError
from mlreg.controller.services import snapshots
from mlreg.controller.sources.opening import Reach, check_reach, open_source
from mlreg.controller.store import sources as rows
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog
from mlreg.registry.services.uploads import BlobFile, keep_blob
from mlreg.registry.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlreg.controller.domain.data_rule import DataRule
    from mlreg.controller.domain.snapshots import SnapshotBody
    from mlreg.controller.domain.sources import Columns, FrozenSource
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.snapshots import Snapshot
    from mlreg.controller.sources.source import DigestMemory
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model


class UndeclaredFeaturesError(RefusedError):
    """It is not known which columns of a source are features."""

    code = "undeclared_features"
    hint = "Create the model with --features."

    def __init__(self, *, model: str) -> None:
        super().__init__(f"model {model!r} declares no features, so no source can be read for it")


@dataclass(frozen=True, slots=True)
class SourceParts:
    """What freezing and reading sources needs of a process."""

    database: Database
    store: ArtifactStore
    connections: Connections

    def reach(self, model: str) -> Reach:
        """Return what a model may read."""
        return Reach(self.connections, self.store, model)


class StoredDigests:
    """Remembers digests of files in the database."""

    def __init__(self, database: Database, now: datetime) -> None:
        self._database = database
        self._now = now

    def recall(self, urls: Sequence[str]) -> Mapping[str, tuple[str, str]]:
        """See `DigestMemory.recall`."""
        with self._database.reading() as session:
            return rows.find_digests(session, urls)

    def note(self, digests: Mapping[str, tuple[str, str]]) -> None:
        """See `DigestMemory.note`."""
        if digests:
            with self._database.writing() as session:
                rows.keep_digests(session, digests, self._now)


def freeze_source(
    parts: SourceParts, model: Model, data: DataRule, span: Interval, *, now: datetime
) -> FrozenSource | None:
    """Say what the source of a rule is now, None for the feedback log.

    Raises:
        UndeclaredFeaturesError: the model does not say which columns are features.
        InvalidError, NotFoundError, NotAllowedError, RefusedError, UnavailableError: as
            `sources/errors.py` draws them.
    """
    name = data.source_name
    if name is None:
        return None
    memory: DigestMemory = StoredDigests(parts.database, now)
    columns = columns_of(model, data)
    return open_source(name, columns, parts.reach(model.name), memory).freeze(span)


def keep_source(
    session: WriteSession,
    parts: SourceParts,
    model: Model,
    body: SnapshotBody,
    *,
    actor: Actor,
    now: datetime,
) -> Snapshot:
    """Write a snapshot of a source down."""
    source = body.source
    if source is not None and source.blobs:
        for file in source.files:
            keep_blob(session, parts.store, BlobFile(file.digest, file.size), now=now)
    return snapshots.keep(session, model, body, actor=actor, now=now)


def columns_of(model: Model, data: DataRule) -> Columns:
    """Return which column of a source stands for what.

    Raises:
        UndeclaredFeaturesError: the model does not say which columns are features.
        InvalidSourceError: the rule names a feature that the model does not have.
    """
    schema = catalog.feature_schema_of(model)
    if schema is None:
        raise UndeclaredFeaturesError(model=model.name)
    unknown = sorted(set(data.features or ()) - set(schema.names))
    if unknown:
        raise InvalidSourceError(problem=f"model {model.name!r} has no feature {unknown[0]!r}")
    return data.columns_for([(one.name, one.dtype) for one in schema.features])


def check_source(connections: Connections, model: Model, data: DataRule) -> None:
    """Say whether a rule's source could be read for a model, asking nobody.

    Raises:
        UndeclaredFeaturesError, ConnectionNotFoundError, SourceNotAllowedError: it could not.
    """
    name = data.source_name
    if name is not None:
        columns_of(model, data)
        check_reach(name, connections, model.name)
