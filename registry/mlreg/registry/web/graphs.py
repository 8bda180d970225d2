"""A lineage as a drawing: places for inline SVG, drawn without a script or a style.

A column for each kind of node, from what was used to what came of it; arrows lead to the right, but
for versions that began from others, which stand below them in one column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mlreg.registry.domain.lineage import Edge, Node
from mlreg.registry.services.lineage import Lineage

COLUMNS: Mapping[str, Sequence[str]] = {
    "Segments, sources": ("segment", "source"),
    "Snapshots, contracts": ("snapshot", "contract"),
    "Runs": ("run",),
    "Versions": ("version",),
    "Decisions": ("decision",),
    "Revisions": ("revision",),
}
BOX_WIDTH, BOX_HEIGHT = 140, 38
ACROSS, DOWN = 168, 50
LEFT, TOP, EDGE = 24, 40, 4
MAX_IN_COLUMN = 24
MAX_LETTERS = 19
SHORT_DIGEST = 12
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Box:
    """One node: where it stands, what it says, and where it leads to."""

    x: int
    y: int
    kind: str
    label: str
    said: str
    full: str
    href: str
    start: bool
    live: bool


@dataclass(frozen=True, slots=True)
class Title:
    """What stands above a column, and how many of its nodes were left out."""

    x: int
    text: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole graph: its size, columns, boxes, and arrows as paths of SVG."""

    width: int
    height: int
    titles: Sequence[Title]
    boxes: Sequence[Box]
    arrows: Sequence[str]


def drawing_of(found: Lineage) -> Drawing:
    """Place the nodes of a lineage; of a column with too many, the last in order are left out."""
    columns = {
        title: _column(found.graph.nodes, kinds, found.graph.start)
        for title, kinds in COLUMNS.items()
    }
    columns = {title: nodes for title, nodes in columns.items() if nodes}
    places = {
        node: (LEFT + across * ACROSS, TOP + down * DOWN)
        for across, nodes in enumerate(columns.values())
        for down, node in enumerate(nodes[:MAX_IN_COLUMN])
    }
    titles = [
        Title(LEFT + across * ACROSS, title, max(len(nodes) - MAX_IN_COLUMN, 0))
        for across, (title, nodes) in enumerate(columns.items())
    ]
    deepest = max((y for _, y in places.values()), default=TOP)
    return Drawing(
        width=LEFT + len(columns) * ACROSS - (ACROSS - BOX_WIDTH) + EDGE,
        height=deepest + DOWN,
        titles=titles,
        boxes=[_box(found, node, place) for node, place in places.items()],
        arrows=list(_arrows(found.graph.edges, places)),
    )


def _column(nodes: Collection[Node], kinds: Sequence[str], start: Collection[Node]) -> list[Node]:
    """Return the nodes of a column: what was asked for first, then by kind and number."""
    mine = [node for node in nodes if node.kind in kinds]
    return sorted(mine, key=lambda node: (node not in start, kinds.index(node.kind), _order(node)))


def _order(node: Node) -> list[tuple[int, str]]:
    """Return a key by which `flights/9` comes before `flights/10`."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (0, part)
        for part in _DIGITS.split(node.name[:200])
    ]


def _box(found: Lineage, node: Node, place: tuple[int, int]) -> Box:
    facts = found.facts.get(node, {})
    return Box(
        x=place[0],
        y=place[1],
        kind=node.kind,
        label=_cut(_label(node)),
        said=_cut(_said(node, facts)),
        full=f"{node.kind} {node.name}",
        href=href_of(node),
        start=node in found.graph.start,
        live=bool(facts.get("live") or facts.get("present")),
    )


def href_of(node: Node) -> str:
    """Return the page of a node: a version's own, of everything else its lineage."""
    model, _, number = node.name.rpartition("/")
    if node.kind == "version":
        return f"/models/{quote(model, safe='')}/versions/{quote(number, safe='')}"
    return f"/lineage/{quote(f'{node.kind}:{node.name}', safe='')}"


def _label(node: Node) -> str:
    if node.name.startswith("sha256:"):
        return node.name.removeprefix("sha256:")[:SHORT_DIGEST]
    if node.kind == "revision":
        return node.name.partition(":")[2]
    return node.name if node.kind == "version" else f"{node.kind} {node.name}"


def _said(node: Node, facts: Mapping[str, Any]) -> str:
    """Return what is said of a node in a word or two."""
    if node.kind == "version":
        live = ", ".join(facts.get("live") or ())
        return f"live in {live}" if live else str(facts.get("lane") or "version")
    if node.kind == "revision":
        word = str(facts.get("cause") or "revision")
        return f"{word}, in force" if facts.get("present") else word
    return str(facts.get("verdict") or ("retrain" if node.kind == "run" else node.kind))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 1] + "…"


def _arrows(edges: Collection[Edge], places: Mapping[Node, tuple[int, int]]) -> list[str]:
    return [
        _path(places[edge.source], places[edge.target])
        for edge in sorted(edges)
        if edge.source in places and edge.target in places
    ]


def _path(source: tuple[int, int], target: tuple[int, int]) -> str:
    """Return a curve from the right of one box to the left of another; within a column, beside."""
    middle = BOX_HEIGHT // 2
    if source[0] == target[0]:
        x, beside = source[0], source[0] - 22
        return (
            f"M{x},{source[1] + middle} C{beside},{source[1] + middle}"
            f" {beside},{target[1] + middle} {x},{target[1] + middle}"
        )
    x, end = source[0] + BOX_WIDTH, target[0]
    half = (x + end) // 2
    return (
        f"M{x},{source[1] + middle} C{half},{source[1] + middle}"
        f" {half},{target[1] + middle} {end},{target[1] + middle}"
    )
