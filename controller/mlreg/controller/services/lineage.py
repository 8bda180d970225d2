"""Lineage with what the controller knows of its own nouns: segments, snapshots, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.controller.store import lineage as rows
from mlreg.registry.services import lineage
from mlreg.registry.services.lineage import Lineage, Question

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.domain.lineage import Node
    from mlreg.registry.store.database import ReadSession


def trace(session: ReadSession, question: Question, *, caller: Actor) -> Lineage:
    """Return the lineage of something; see the registry's `trace` for what is raised."""
    found = lineage.trace(session, question, caller=caller)
    return Lineage(found.graph, {**found.facts, **describe(session, found.graph.nodes)})


def describe(session: ReadSession, nodes: Collection[Node]) -> dict[Node, Mapping[str, Any]]:
    """Return what the controller says of its own nouns among some nodes."""
    said = {
        kind: find(session, [node.name for node in nodes if node.kind == kind])
        for kind, find in _FINDERS.items()
    }
    return {
        node: said[node.kind][node.name]
        for node in nodes
        if node.kind in said and node.name in said[node.kind]
    }


_FINDERS = {
    "segment": rows.describe_segments,
    "snapshot": rows.describe_snapshots,
    "run": rows.describe_runs,
}
