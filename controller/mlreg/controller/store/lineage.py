"""Queries of what the controller knows of the nodes of the lineage graph, by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import TextClause

    from mlreg.registry.store.database import ReadSession

_SEGMENTS = text("""
    SELECT digest AS name, kind AS rows_of, rows, size, start, "end", created_at
    FROM segment WHERE digest = ANY(CAST(:names AS text[]))
""")
_SNAPSHOTS = text("""
    SELECT digest AS name, start, "end", created_at, created_by
    FROM snapshot WHERE digest = ANY(CAST(:names AS text[]))
""")
_RUNS = text("""
    SELECT CAST(id AS text) AS name, state, lane, cause, environment, requested_by, created_at,
           ended_at
    FROM run WHERE id = ANY(CAST(:names AS bigint[]))
""")

Facts = dict[str, dict[str, Any]]


def describe_segments(session: ReadSession, names: Collection[str]) -> Facts:
    """Return what is said of segments that were not compacted away, by digest."""
    return _by_name(session, _SEGMENTS, names)


def describe_snapshots(session: ReadSession, names: Collection[str]) -> Facts:
    """Return what is said of snapshots, by digest."""
    return _by_name(session, _SNAPSHOTS, names)


def describe_runs(session: ReadSession, names: Collection[str]) -> Facts:
    """Return what is said of runs, by their number as text."""
    return _by_name(session, _RUNS, [name for name in names if name.isdigit()])


def _by_name(session: ReadSession, statement: TextClause, names: Collection[str]) -> Facts:
    if not names:
        return {}
    rows = session.execute(statement, {"names": list(names)}).mappings()
    return {
        row["name"]: {key: value for key, value in row.items() if key != "name"} for row in rows
    }
