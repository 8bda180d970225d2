"""The statements of a registration: lock the model, then write all that a version is at once.

What always holds: one statement writes the version's row, its manifests and contract, the
references that keep its blobs, its arrows of lineage and its facts for search; a part of it that is
there already stays as it is. A statement per part cost more than the rows: eight clients register
twice as many versions this way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from mlreg.registry.domain.forms import Json
from mlreg.registry.domain.manifests import Manifest
from mlreg.registry.store.idempotency_keys import FIND_ANSWER
from mlreg.registry.store.pipeline import ask_together
from mlreg.registry.store.present import Answered
from mlreg.registry.store.search_index import BOUNDS, FACTS

if TYPE_CHECKING:
    from mlreg.registry.store.database import WriteSession

_LOCK = text("""
SELECT id, name, last_version, archived_at IS NOT NULL, feature_schema, requires_signature, (
  SELECT jsonb_object_agg(digest, size) FROM (
    SELECT digest, size FROM blob
    WHERE digest = ANY(CAST(:digests AS text[]))
      AND (state = 'verified' OR state = 'condemned' AND corrupt_at IS NULL)
    ORDER BY digest FOR SHARE
  ) AS held
) FROM model WHERE name = :model AND deleted_at IS NULL FOR NO KEY UPDATE
""")
# `version` and `contract` are named as the tables whose rows they become: what FACTS reads of
# those tables is then read from here, where the rows are before they are in the tables.
_WRITE = text(
    """
WITH version AS (
  SELECT * FROM jsonb_populate_record(CAST(NULL AS version), CAST(:version AS jsonb))
), contract AS (
  SELECT CAST(:contract AS text) AS digest, CAST(:document AS jsonb) AS body
), moved AS (
  UPDATE model SET last_version = version.number FROM version WHERE model.id = version.model_id
), kept AS (
  INSERT INTO manifest (digest, body, total_size, created_at)
  SELECT DISTINCT ON (part.digest) part.digest, part.body, part.total_size, version.created_at
  FROM version, jsonb_to_recordset(CAST(:manifests AS jsonb))
    AS part (digest text, body text, total_size bigint)
  ON CONFLICT DO NOTHING
), known AS (
  INSERT INTO contract (digest, kind, body)
  SELECT digest, 'feature', body FROM contract WHERE digest IS NOT NULL
  ON CONFLICT DO NOTHING
), referred AS (
  INSERT INTO blob_reference (digest, kind, owner)
  SELECT DISTINCT part.digest, part.kind, part.owner
  FROM jsonb_to_recordset(CAST(:needed AS jsonb)) AS part (digest text, kind text, owner text)
  ORDER BY part.digest
  ON CONFLICT DO NOTHING
), arrows AS (
  INSERT INTO lineage_edge
    (source_kind, source, target_kind, target, model_id, created_at)
  SELECT DISTINCT part.kind, part.name, 'version', :name, version.model_id, version.created_at
  FROM version, jsonb_to_recordset(CAST(:sources AS jsonb)) AS part (kind text, name text)
  ON CONFLICT DO NOTHING
), told AS (
  INSERT INTO outbox_message (topic, body, created_at)
  SELECT :topic, CAST(:event AS jsonb), created_at FROM version
), written AS (
  INSERT INTO version SELECT * FROM version
), FACTS
""".replace("FACTS", FACTS.replace("WANTED", "true"))
)


@dataclass(frozen=True, slots=True)
class LockedModel:
    """A model as last committed, its row locked until the commit.

    Attributes:
        sizes: of those files that are verified, by digest, locked against removal; None is none.
    """

    id: int
    name: str
    last_version: int
    archived: bool
    feature_schema: list[dict[str, Any]] | None
    requires_signature: bool
    sizes: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """The columns of a version's row that a registration fills; the others are NULL.

    It is not a `Version`: to make one, with all that watches over its attributes, cost more than to
    write its row.
    """

    model_id: int
    number: int
    manifest_digest: str
    feature_contract: str | None
    stage_digest: str | None
    flavour: str
    lane: str | None
    trainer: str | None
    parent: int | None
    run_id: int | None
    git: Mapping[str, Json] | None
    snapshots: Sequence[str] | None
    data: Sequence[Mapping[str, Json]] | None
    trained_by: str
    duration_seconds: float | None
    peak_memory_bytes: int | None
    hyperparameters: Mapping[str, Json] | None
    seeds: Mapping[str, int] | None
    environment: Mapping[str, Json] | None
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    missing: Sequence[str]
    train_start: datetime | None
    train_end: datetime | None
    description: str
    created_at: datetime
    created_by: str

    @property
    def columns(self) -> dict[str, Any]:
        """Its values by the names of their columns."""
        return {name: getattr(self, name) for name in _COLUMNS}


_COLUMNS = tuple(field.name for field in fields(NewVersion))


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to a version beside its row.

    Attributes:
        manifests: (kind of the references, digest, manifest) of its files, and of its stage.
        contract: the document of its feature contract, or None.
        sources: (kind, name) of what it was made of.
        name: `model/number`.
        event: (topic, body) for the outbox.
    """

    manifests: Sequence[tuple[str, str, Manifest]]
    contract: Mapping[str, Json] | None
    sources: Sequence[tuple[str, str]]
    name: str
    event: tuple[str, Mapping[str, Json]]


def lock_model_row(
    session: WriteSession, name: str, digests: Sequence[str], key: tuple[str, str] | None = None
) -> tuple[LockedModel | None, Answered | None]:
    """Lock the verified ones of some blobs, and then a model; None where it is deleted or unknown.

    The model is locked against changes, not against references to it. A blob that was condemned
    while nobody needed it is verified still; its reference keeps it, and it is spared within a
    minute. With it, in one round trip, comes what was answered to (actor, key) before the lock was
    had.
    """
    by, called = key or (None, None)
    row, answered = ask_together(
        session,
        (_LOCK, {"model": name, "digests": list(digests)}),
        (FIND_ANSWER, {"by": by, "name": called}),
    )
    return LockedModel(*row) if row else None, Answered(*answered) if answered else None


def write_version(session: WriteSession, version: NewVersion, parts: Parts) -> None:
    """Write a version under the lock of its model, whose next number it has, with all its parts."""
    manifests = [
        {"digest": digest, "body": manifest.body, "total_size": manifest.total_size}
        for _, digest, manifest in parts.manifests
    ]
    needed = [
        {"digest": file.digest, "kind": kind, "owner": digest}
        for kind, digest, manifest in parts.manifests
        for file in manifest.files
    ]
    values = {
        "version": json.dumps(version.columns, default=_moment),
        "contract": version.feature_contract,
        "document": json.dumps(parts.contract),
        "manifests": json.dumps(manifests),
        "needed": json.dumps(needed),
        "sources": json.dumps([{"kind": kind, "name": name} for kind, name in parts.sources]),
        "name": parts.name,
        "topic": parts.event[0],
        "event": json.dumps(parts.event[1]),
    }
    session.at_end(_WRITE, {**BOUNDS, **values})


def _moment(moment: datetime) -> str:
    return moment.isoformat()
