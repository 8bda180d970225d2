"""Lineage: what a thing was made of, what came of it, and which live models that touches.

What always holds: an arrow is seen by whoever may read the model whose record says so, and by
nobody else; what lies behind an arrow that is not seen is counted, not named; a deleted version is
not there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from mlreg.registry.domain.errors import InvalidError, NotFoundError
from mlreg.registry.domain.lineage import (
    JUDGED,
    MAX_DEPTH,
    MAX_NODES,
    Bounds,
    Direction,
    Edge,
    Graph,
    Node,
    merge,
    parse_node,
    walk,
)
from mlreg.registry.domain.references import Reference
from mlreg.registry.services import catalog
from mlreg.registry.store import lineage as rows
from mlreg.registry.store.versions import list_champion_numbers

if TYPE_CHECKING:
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession


MAX_CANDIDATES = 10


class NodeNotFoundError(NotFoundError):
    """Nothing of that name has a lineage here."""

    code = "node_not_found"

    def __init__(self, *, node: Node) -> None:
        super().__init__(f"no {node.kind} {node.name} in the lineage")


class AmbiguousNodeError(InvalidError):
    """The beginning of a digest that several have, as far as the caller may see."""

    code = "ambiguous_digest"
    hint = "Give more digits."

    def __init__(self, *, node: Node, names: Sequence[str]) -> None:
        shown = ", ".join(names[:MAX_CANDIDATES])
        more = ", …" if len(names) > MAX_CANDIDATES else ""
        super().__init__(f"{node.name!r} is the beginning of several {node.kind}s: {shown}{more}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the graph.

    Attributes:
        of: a node, a version or a model, as people write it; a model stands for what is live of it.
        live: only which live models have it in their ancestry.
    """

    of: str
    direction: Direction = "both"
    bounds: Bounds = field(default_factory=Bounds)
    live: bool = False


@dataclass(frozen=True, slots=True)
class Lineage:
    """The answer: a graph, and what is said of its nodes."""

    graph: Graph
    facts: Mapping[Node, Mapping[str, Any]]


def trace(session: ReadSession, question: Question, *, caller: Actor) -> Lineage:
    """Return the lineage of something, as far as the caller may see it.

    Raises:
        InvalidNodeError, InvalidReferenceError, InvalidDigestError: the question names nothing.
        AmbiguousNodeError: it names several, by the beginning of a digest.
        ModelNotFoundError, VersionNotFoundError, NoChampionError, NodeNotFoundError: it is not
            there, or the caller may not know of it.
    """
    start = find_start(session, question.of, caller)
    graph = _walked(session, start, question, caller.models_for("read"))
    facts = describe(session, graph.nodes)
    if question.live:
        _keep_live(graph, facts)
    return Lineage(graph, facts)


def find_start(session: ReadSession, of: str, caller: Actor) -> list[Node]:
    """Return the nodes that a question begins with.

    Raises:
        As `trace`.
    """
    asked = parse_node(of)
    if isinstance(asked, Reference):
        return [Node("version", name) for name in _versions(session, asked, caller)]
    if asked.kind == "version":
        return find_start(session, asked.name, caller)
    models = caller.models_for("read")
    if asked.has_digest:
        return [_begun(session, asked, models)]
    for upstream in (True, False):
        found = rows.list_edges(session, [asked], upstream=upstream, models=models, limit=1)
        if any(edge.visible for edge in found):  # those that are come first
            return [asked]
    raise NodeNotFoundError(node=asked)


def _begun(session: ReadSession, asked: Node, models: Collection[str] | None) -> Node:
    """Return the one node whose digest begins so."""
    limit = MAX_CANDIDATES + 1
    names = rows.list_beginning(session, asked.kind, asked.name, models=models, limit=limit)
    if not names:
        raise NodeNotFoundError(node=asked)
    if len(names) > 1:
        raise AmbiguousNodeError(node=asked, names=names)
    return Node(asked.kind, names[0])


def describe(session: ReadSession, nodes: Collection[Node]) -> dict[Node, Mapping[str, Any]]:
    """Return what the registry says of its own nouns among some nodes."""
    names = {kind: [node.name for node in nodes if node.kind == kind] for kind in _DESCRIBED}
    numbers = [name.rpartition("/") for name in names["version"]]
    said = {
        "version": rows.describe_versions(
            session, [(model, int(number)) for model, _, number in numbers]
        ),
        "decision": rows.describe_decisions(session, [int(name) for name in names["decision"]]),
        "revision": rows.describe_revisions(session, names["revision"]),
    }
    return {
        node: said[node.kind][node.name]
        for node in nodes
        if node.kind in said and node.name in said[node.kind]
    }


_DESCRIBED = ("version", "decision", "revision")


def _versions(session: ReadSession, asked: Reference, caller: Actor) -> list[str]:
    if not caller.may("read", asked.model):
        raise catalog.ModelNotFoundError(model=asked.model)
    if asked.number is not None or asked.environment is not None:
        model, version = catalog.resolve(session, str(asked))
        return [f"{model.name}/{version.number}"]
    model = catalog.get_model(session, asked.model)
    numbers = list_champion_numbers(session, catalog.id_of(model))
    if not numbers:
        newest = catalog.list_versions(session, model, limit=1, archived=True).items
        numbers = [version.number for version in newest]
    if not numbers:
        raise catalog.VersionNotFoundError(model=model.name, number=1)
    return [f"{model.name}/{number}" for number in numbers]


def _walked(
    session: ReadSession,
    start: Collection[Node],
    question: Question,
    models: Collection[str] | None,
) -> Graph:
    asked = question.bounds
    wanted = "downstream" if question.live else question.direction
    bounds = Bounds(min(asked.depth, MAX_DEPTH), min(asked.nodes, MAX_NODES))
    graphs = [
        walk(
            start,
            partial(_look, session, models, question, upstream),
            upstream=upstream,
            bounds=bounds,
        )
        for upstream in (True, False)
        if wanted in {"both", "upstream" if upstream else "downstream"}
    ]
    return graphs[0] if len(graphs) == 1 else merge(*graphs)


def _look(
    session: ReadSession,
    models: Collection[str] | None,
    question: Question,
    upstream: bool,  # noqa: FBT001 - bound by partial
    nodes: Collection[Node],
) -> list[Edge]:
    found = rows.list_edges(
        session, nodes, upstream=upstream, models=models, limit=question.bounds.edges
    )
    if not question.live:
        return found
    return [edge for edge in found if edge.target.kind not in JUDGED]


def _keep_live(graph: Graph, facts: Mapping[Node, Mapping[str, Any]]) -> None:
    """Drop every node but the start and the live versions, and the arrows with them."""
    live = {node for node in graph.nodes if facts.get(node, {}).get("live")}
    graph.nodes = live | set(graph.start)
    graph.edges = {
        edge for edge in graph.edges if edge.source in graph.nodes and edge.target in graph.nodes
    }
