"""The walk over the lineage graph: right on any graph, bounded on every one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.lineage import Bounds, Edge, Node, parse_node, walk
from mlreg.registry.domain.references import Reference

DIGEST = f"sha256:{'a' * 64}"
NAMES = st.integers(0, 15)
ARROWS = st.frozensets(st.tuples(NAMES, NAMES, st.booleans()), max_size=60)


def node(number):
    return Node("run", str(number))


def graph_of(arrows):
    return {Edge(node(one), node(other), visible) for one, other, visible in arrows}


def look_in(edges, *, upstream):
    def look(nodes):
        return [e for e in edges if (e.target if upstream else e.source) in nodes]

    return look


def reached(edges, start, *, upstream):
    """What can be reached by visible arrows, the slow way."""
    found = {start}
    while True:
        more = {
            (e.source if upstream else e.target)
            for e in edges
            if e.visible and (e.target if upstream else e.source) in found
        }
        if more <= found:
            return found
        found |= more


@given(arrows=ARROWS, start=NAMES, upstream=st.booleans())
def test_it_finds_what_can_be_reached_and_counts_what_may_not_be_seen(arrows, start, upstream):
    edges = graph_of(arrows)
    found = walk(
        [node(start)], look_in(edges, upstream=upstream), upstream=upstream, bounds=Bounds()
    )
    assert found.nodes == reached(edges, node(start), upstream=upstream)
    assert all(edge.visible for edge in found.edges)
    assert {edge.source for edge in found.edges} | {edge.target for edge in found.edges} <= (
        found.nodes
    )
    hidden = {
        (e.source if upstream else e.target)
        for e in edges
        if not e.visible and (e.target if upstream else e.source) in found.nodes
    }
    assert found.hidden == hidden - found.nodes
    assert not found.truncated


@given(arrows=ARROWS, start=NAMES, depth=st.integers(1, 4), nodes=st.integers(1, 6))
def test_it_keeps_its_bounds_and_says_when_it_was_cut(arrows, start, depth, nodes):
    edges = graph_of(arrows)
    bounds = Bounds(depth, nodes)
    found = walk([node(start)], look_in(edges, upstream=False), upstream=False, bounds=bounds)
    assert len(found.nodes) <= nodes
    whole = reached(edges, node(start), upstream=False)
    assert found.nodes <= whole
    assert found.truncated or found.nodes == whole


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("flights", Reference("flights")),
        ("flights/12", Reference("flights", 12)),
        ("flights@champion:staging", Reference("flights", environment="staging")),
        (f"segment:{DIGEST}", Node("segment", DIGEST)),
        ("segment:5a5a5a", Node("segment", "sha256:5a5a5a")),
        ("snapshot:sha256:5a5a5a5", Node("snapshot", "sha256:5a5a5a5")),
        ("run:17", Node("run", "17")),
        ("revision:flights:production/7", Node("revision", "flights:production/7")),
    ],
)
def test_what_people_write_names_a_node(given_text, expected):
    assert parse_node(given_text) == expected


@pytest.mark.parametrize(
    "given_text",
    ["", "a/b/c", "segment:", "segment:abcde", "moon:17", "Flights", f"run:{'1' * 300}"],
)
def test_what_names_nothing_is_refused(given_text):
    with pytest.raises(InvalidError):
        parse_node(given_text)
