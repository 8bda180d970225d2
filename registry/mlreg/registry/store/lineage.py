"""Queries of the lineage graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from mlreg.registry.domain.lineage import Edge, Node
from mlreg.registry.store.tables import LineageEdge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import TextClause

    from mlreg.registry.store.database import ReadSession, WriteSession

_HIDES_VERSION = """
    SELECT 1 FROM version JOIN model AS of ON of.id = version.model_id
    WHERE {kind} = 'version' AND of.name = split_part({name}, '/', 1)
      AND version.number = CAST(split_part({name}, '/', 2) AS integer)
      AND version.deleted_at IS NOT NULL
"""
_VISIBLE = """
    (model.deleted_at IS NULL
     AND (CAST(:models AS text[]) IS NULL OR model.name = ANY(CAST(:models AS text[])))
     AND NOT EXISTS ({hides}))
"""
_EDGES = """
    SELECT edge.source_kind, edge.source, edge.target_kind, edge.target, {visible} AS visible
    FROM unnest(CAST(:kinds AS text[]), CAST(:names AS text[])) AS here (kind, name)
    JOIN lineage_edge AS edge ON edge.{end}_kind = here.kind AND edge.{end} = here.name
    JOIN model ON model.id = edge.model_id
    ORDER BY visible DESC LIMIT :limit
"""
# A digest is of 0-9 and a-f: all that begin like one lie between that and the same with a g.
_NAMED = """
    SELECT edge.{end} AS name FROM lineage_edge AS edge JOIN model ON model.id = edge.model_id
    WHERE edge.{end}_kind = :kind AND edge.{end} >= :prefix AND edge.{end} < :prefix || 'g'
      AND starts_with(edge.{end}, :prefix) AND {visible}
    GROUP BY edge.{end} ORDER BY edge.{end} LIMIT :limit
"""


def _asking(statement: str, end: str, other: str) -> str:
    hides = _HIDES_VERSION.format(kind=f"edge.{other}_kind", name=f"edge.{other}")
    return statement.format(end=end, visible=_VISIBLE.format(hides=hides))


_UPSTREAM = text(_asking(_EDGES, "target", "source"))
_DOWNSTREAM = text(_asking(_EDGES, "source", "target"))
_BEGINNING = text(
    f"(({_asking(_NAMED, 'source', 'target')}) UNION ({_asking(_NAMED, 'target', 'source')}))"
    " ORDER BY name LIMIT :limit"
)

_VERSIONS = text("""
    SELECT model.name || '/' || version.number AS name, version.lane, version.trainer,
           version.created_at, version.created_by, version.manifest_digest AS manifest,
           coalesce(json_agg(deployment.environment ORDER BY deployment.environment)
                    FILTER (WHERE deployment.id IS NOT NULL), '[]') AS live
    FROM unnest(CAST(:models AS text[]), CAST(:numbers AS int[])) AS here (model, number)
    JOIN model ON model.name = here.model
    JOIN version ON version.model_id = model.id AND version.number = here.number
    LEFT JOIN deployment ON deployment.model_id = model.id
                        AND deployment.champion = version.number
    GROUP BY model.name, version.model_id, version.number
""")
_DECISIONS = text("""
    SELECT CAST(id AS text) AS name, verdict, environment, challenger, champion, created_at,
           created_by
    FROM decision WHERE id = ANY(CAST(:numbers AS bigint[]))
""")
_REVISIONS = text("""
    SELECT here.name, revision.cause, revision.actor, revision.at, revision.champion,
           revision.number = deployment.revision AS present
    FROM unnest(CAST(:names AS text[])) AS here (name)
    JOIN model ON model.name = split_part(here.name, ':', 1)
    JOIN deployment ON deployment.model_id = model.id
     AND deployment.environment = split_part(split_part(here.name, ':', 2), '/', 1)
    JOIN revision ON revision.deployment_id = deployment.id
     AND revision.number = CAST(split_part(here.name, '/', 2) AS integer)
""")


def add_edges(
    session: WriteSession,
    sources: Iterable[tuple[str, str]],
    target: tuple[str, str],
    now: datetime,
    *,
    model_id: int,
) -> None:
    """Write an arrow from each source (kind, name) to the target; repeating is fine.

    Args:
        session: the transaction of what the arrows tell.
        sources: what was used.
        target: what came of it.
        now: business time.
        model_id: the model whose record says so.
    """
    kind, name = target
    rows = [
        {
            "source_kind": source_kind,
            "source": source,
            "target_kind": kind,
            "target": name,
            "model_id": model_id,
            "created_at": now,
        }
        for source_kind, source in sorted(set(sources))
    ]
    if rows:
        session.execute(insert(LineageEdge).on_conflict_do_nothing(), rows)


def list_edges(
    session: ReadSession,
    nodes: Collection[Node],
    *,
    upstream: bool,
    models: Collection[str] | None,
    limit: int,
) -> list[Edge]:
    """Return the arrows that lead to these nodes (upstream) or from them.

    Args:
        session: where to read.
        nodes: whose arrows.
        upstream: those that lead to them.
        models: the names of those that the asker may read; None is every one.
        limit: at most so many, those that the asker may see first.
    """
    values = {
        "kinds": [node.kind for node in nodes],
        "names": [node.name for node in nodes],
        "models": None if models is None else sorted(models),
        "limit": limit,
    }
    rows = session.execute(_UPSTREAM if upstream else _DOWNSTREAM, values)
    return [
        Edge(Node(source_kind, source), Node(target_kind, target), visible)
        for source_kind, source, target_kind, target, visible in rows
    ]


def list_beginning(
    session: ReadSession, kind: str, prefix: str, *, models: Collection[str] | None, limit: int
) -> list[str]:
    """Return the names of nodes of a kind that begin so and have an arrow that the asker may see.

    Args:
        session: where to read.
        kind: of the nodes.
        prefix: of digests.
        models: the names of those that the asker may read; None is every one.
        limit: at most so many.
    """
    values = {"kind": kind, "prefix": prefix, "limit": limit}
    allowed = None if models is None else sorted(models)
    return list(session.execute(_BEGINNING, {**values, "models": allowed}).scalars())


def describe_versions(
    session: ReadSession, names: Iterable[tuple[str, int]]
) -> Mapping[str, dict[str, Any]]:
    """Return what is said of versions, by `model/number`; `live` is where they are champion."""
    pairs = list(names)
    values = {"models": [model for model, _ in pairs], "numbers": [number for _, number in pairs]}
    return _by_name(session, _VERSIONS, values)


def describe_decisions(
    session: ReadSession, numbers: Collection[int]
) -> Mapping[str, dict[str, Any]]:
    """Return what is said of decisions, by their number as text."""
    return _by_name(session, _DECISIONS, {"numbers": list(numbers)})


def describe_revisions(
    session: ReadSession, names: Collection[str]
) -> Mapping[str, dict[str, Any]]:
    """Return what is said of revisions, by `model:environment/number`; `present` is in force."""
    return _by_name(session, _REVISIONS, {"names": list(names)})


def _by_name(
    session: ReadSession, statement: TextClause, values: Mapping[str, object]
) -> dict[str, dict[str, Any]]:
    rows = session.execute(statement, dict(values)).mappings()
    return {
        row["name"]: {key: value for key, value in row.items() if key != "name"} for row in rows
    }
