"""Queries of the export of lineage: arrows that wait, and the rows behind the nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text, tuple_
from sqlmodel import col, select

from mlreg.controller.store.tables import Run, Segment, Snapshot
from mlreg.registry.domain.lineage import Edge, Node
from mlreg.registry.store.tables import (
    Contract,
    Decision,
    Deployment,
    Model,
    Revision,
    Version,
)

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.store.database import ReadSession, WriteSession

Row = TypeVar("Row")

_WAITING = text("""
    WITH early AS (
        SELECT target_kind, target FROM lineage_edge
        WHERE exported_at IS NULL
          AND NOT (target_kind = 'run' AND target IN (
              SELECT CAST(id AS text) FROM run WHERE state IN ('queued', 'running')))
        ORDER BY created_at, target_kind, target LIMIT :limit
    )
    SELECT edge.source_kind, edge.source, edge.target_kind, edge.target
    FROM (SELECT DISTINCT target_kind, target FROM early) AS here
    JOIN lineage_edge AS edge USING (target_kind, target)
    WHERE edge.exported_at IS NULL
""")
_MARK = text("""
    UPDATE lineage_edge AS edge SET exported_at = :now
    FROM unnest(CAST(:source_kinds AS text[]), CAST(:sources AS text[]),
                CAST(:target_kinds AS text[]), CAST(:targets AS text[]))
         AS sent (source_kind, source, target_kind, target)
    WHERE edge.source_kind = sent.source_kind AND edge.source = sent.source
      AND edge.target_kind = sent.target_kind AND edge.target = sent.target
""")
_ANY_WAITING = text("SELECT EXISTS (SELECT 1 FROM lineage_edge WHERE exported_at IS NULL)")
_IS_OFF = text("""
    SELECT last_at > clock_timestamp() - interval '1 hour' AND outcome LIKE 'off:%'
    FROM chore WHERE name = :name
""")


@dataclass(frozen=True, slots=True)
class Records:
    """The rows behind some nodes, each by the name of its node; models by their id."""

    models: Mapping[int, Model]
    versions: Mapping[str, Version]
    contracts: Mapping[str, Contract]
    runs: Mapping[str, Run]
    snapshots: Mapping[str, Snapshot]
    segments: Mapping[str, Segment]
    decisions: Mapping[str, Decision]
    revisions: Mapping[str, tuple[Revision, int]]


def list_waiting(session: ReadSession, limit: int) -> list[Edge]:
    """Return every arrow that waits to the first targets; those of open runs wait on."""
    return [
        Edge(Node(source_kind, source), Node(target_kind, target))
        for source_kind, source, target_kind, target in session.execute(_WAITING, {"limit": limit})
    ]


def is_any_waiting(session: ReadSession, chore: str) -> bool:
    """Say whether an arrow waits, unless it was said within the hour that nobody wants any."""
    if session.execute(_IS_OFF, {"name": chore}).scalar_one_or_none():
        return False
    return bool(session.execute(_ANY_WAITING).scalar_one())


def mark_exported(session: WriteSession, edges: Collection[Edge], now: datetime) -> None:
    """Write that these arrows were sent."""
    values = {
        "source_kinds": [edge.source.kind for edge in edges],
        "sources": [edge.source.name for edge in edges],
        "target_kinds": [edge.target.kind for edge in edges],
        "targets": [edge.target.name for edge in edges],
    }
    session.execute(_MARK, {**values, "now": now})


def load_records(session: ReadSession, nodes: Collection[Node]) -> Records:
    """Return the rows behind some nodes; what is not there any more is absent."""
    names = {kind: [n.name for n in nodes if n.kind == kind] for kind in {n.kind for n in nodes}}
    versions = _versions(session, names.get("version", []))
    wanted = {version.feature_contract for version in versions.values()}
    return Records(
        models={model.id or 0: model for model in session.exec(select(Model))},
        versions=versions,
        contracts=_by(session, Contract, "digest", [one for one in wanted if one is not None]),
        runs=_by(session, Run, "id", map(int, names.get("run", []))),
        snapshots=_by(session, Snapshot, "digest", names.get("snapshot", [])),
        segments=_by(session, Segment, "digest", names.get("segment", [])),
        decisions=_by(session, Decision, "id", map(int, names.get("decision", []))),
        revisions=_revisions(session, names.get("revision", [])),
    )


def _by(session: ReadSession, table: type[Row], key: str, values: Any) -> dict[str, Row]:  # noqa: ANN401 - keys of any column
    column = getattr(table, key)
    found = session.exec(select(table).where(col(column).in_(list(values))))
    return {str(getattr(row, key)): row for row in found}


def _versions(session: ReadSession, names: Sequence[str]) -> dict[str, Version]:
    pairs = [(model, int(number)) for model, _, number in (n.rpartition("/") for n in names)]
    found = session.exec(
        select(Model.name, Version)
        .join(Model, col(Model.id) == Version.model_id)
        .where(tuple_(col(Model.name), col(Version.number)).in_(pairs))
    )
    return {f"{model}/{version.number}": version for model, version in found}


def _revisions(session: ReadSession, names: Sequence[str]) -> dict[str, tuple[Revision, int]]:
    """Return revisions with the id of their model, by `model:environment/number`."""
    places = [(name.partition(":")[0], *name.partition(":")[2].rsplit("/", 1)) for name in names]
    triples = [(model, environment, int(number)) for model, environment, number in places]
    found = session.exec(
        select(Model.name, Deployment.environment, Deployment.model_id, Revision)
        .join(Deployment, col(Deployment.id) == Revision.deployment_id)
        .join(Model, col(Model.id) == Deployment.model_id)
        .where(
            tuple_(col(Model.name), col(Deployment.environment), col(Revision.number)).in_(triples)
        )
    )
    return {
        f"{model}:{environment}/{revision.number}": (revision, model_id)
        for model, environment, model_id, revision in found
    }
