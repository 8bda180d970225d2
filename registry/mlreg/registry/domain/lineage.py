"""The lineage graph: what was used, what came of it, and how far a question may look.

What always holds: an arrow leads from what was used to what came of it; a walk ends, whatever the
graph, by its bounds on steps and nodes, and says when it was cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.references import Reference, parse_reference

Kind = Literal[
    "source", "segment", "snapshot", "contract", "run", "version", "decision", "revision"
]
KINDS: frozenset[str] = frozenset(get_args(Kind))
Direction = Literal["upstream", "downstream", "both"]
MAX_DEPTH = 1_000
MAX_NODES = 5_000
JUDGED: frozenset[str] = frozenset({"decision", "revision"})
_DIGESTS: frozenset[str] = frozenset({"segment", "snapshot", "contract"})
SHA256 = "sha256:"
_BEGINNING = re.compile(SHA256 + "[0-9a-f]{6,64}")


class InvalidNodeError(InvalidError):
    """A text that names nothing in the lineage graph."""

    code = "invalid_node"
    hint = (
        "Write MODEL, MODEL/NUMBER, MODEL@champion, snapshot:DIGEST, segment:DIGEST, source:URL,"
        " run:NUMBER."
    )

    def __init__(self, *, given: str) -> None:
        super().__init__(f"{given[:120]!r} names nothing that has a lineage")


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """Something with a lineage.

    Attributes:
        name: a digest (of a question's node, its first six digits or more will do); the number of
            a run or decision; `flights/12` for a version, `flights:production/7` for a revision.
    """

    kind: str
    name: str

    @property
    def has_digest(self) -> bool:
        """Whether its name is a digest, or the beginning of one."""
        return self.kind in _DIGESTS


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """An arrow; `visible` says whether the asker may read the model whose record says so."""

    source: Node
    target: Node
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a walk goes.

    Attributes:
        depth: steps away from the start.
        nodes: that it may find in all.
        edges: that it takes of one level.
    """

    depth: int = 50
    nodes: int = 500
    edges: int = 4 * MAX_NODES


@dataclass(slots=True)
class Graph:
    """What a walk found.

    Attributes:
        hidden: nodes that were met and may not be seen.
        truncated: there is more beyond the bounds.
    """

    start: tuple[Node, ...]
    nodes: set[Node] = field(default_factory=set)
    edges: set[Edge] = field(default_factory=set)
    hidden: set[Node] = field(default_factory=set)
    truncated: bool = False


Look = Callable[[Collection[Node]], Iterable[Edge]]
"""Return the arrows of some nodes in one direction, at most so many that a walk can take them."""


def parse_node(given: str) -> Node | Reference:
    """Return the node that a text names, or the reference to a model or version.

    Raises:
        InvalidNodeError, InvalidReferenceError, InvalidNameError, InvalidDigestError: it is none.
    """
    kind, colon, name = given.partition(":")
    if not colon or "@" in kind:
        return parse_reference(given)
    if kind not in KINDS or not name or len(name) > 200:  # noqa: PLR2004 - longer than any name
        raise InvalidNodeError(given=given)
    return Node(kind, _digest(name) if kind in _DIGESTS else name)


def _digest(name: str) -> str:
    """Return a digest, or the beginning of one, with its `sha256:`."""
    prefix = f"{SHA256}{name.removeprefix(SHA256)}"
    return prefix if _BEGINNING.fullmatch(prefix) else checked_digest(name)


def walk(start: Collection[Node], look: Look, *, upstream: bool, bounds: Bounds) -> Graph:
    """Go from some nodes against the arrows (upstream) or along them, level by level."""
    graph = Graph(tuple(start), set(start))
    frontier: set[Node] = set(start)
    for _ in range(bounds.depth):
        if not frontier:
            break
        frontier = _step(graph, look(frontier), upstream=upstream, bounds=bounds)
    if frontier and any(edge.visible for edge in look(frontier)):
        graph.truncated = True
    graph.hidden -= graph.nodes
    return graph


def _step(graph: Graph, found: Iterable[Edge], *, upstream: bool, bounds: Bounds) -> set[Node]:
    """Take the arrows of one level, and return the nodes that nobody had seen."""
    fresh: set[Node] = set()
    arrows = sorted(found)
    graph.truncated |= len(arrows) >= bounds.edges
    for edge in arrows:
        other = edge.source if upstream else edge.target
        if not edge.visible:
            graph.hidden.add(other)
        elif other in graph.nodes:
            graph.edges.add(edge)
        elif len(graph.nodes) < bounds.nodes:
            graph.edges.add(edge)
            graph.nodes.add(other)
            fresh.add(other)
        else:
            graph.truncated = True
    return fresh


def merge(one: Graph, other: Graph) -> Graph:
    """Return two walks from the same start as one graph."""
    nodes = one.nodes | other.nodes
    return Graph(
        start=one.start,
        nodes=nodes,
        edges=one.edges | other.edges,
        hidden=(one.hidden | other.hidden) - nodes,
        truncated=one.truncated or other.truncated,
    )
