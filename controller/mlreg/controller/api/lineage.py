"""Routes of the lineage graph."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from mlreg.client.wire.base import Page
from mlreg.client.wire.lineage import Direction, EdgeAnswer, LineageAnswer, NodeAnswer
from mlreg.controller.services import lineage
from mlreg.registry.api.context import Caller, Reading
from mlreg.registry.api.permission import may
from mlreg.registry.domain.lineage import MAX_DEPTH, MAX_NODES, Bounds, Node
from mlreg.registry.services.lineage import Lineage, Question

router = APIRouter(prefix="/lineage", tags=["lineage"])
Of = Annotated[
    str,
    Query(
        max_length=300,
        examples=["flights/12"],
        description="A model, a version, or segment:DIGEST, snapshot:DIGEST, run:NUMBER …;"
        " of a digest, six digits are enough where no other begins so.",
    ),
]
Depth = Annotated[int, Query(ge=1, le=MAX_DEPTH, description="Steps at most.")]
Limit = Annotated[int, Query(ge=1, le=MAX_NODES, description="Nodes at most.")]
Live = Annotated[bool, Query(description="Only live versions that have it in their ancestry.")]


async def _question(
    of: Of,
    direction: Direction = "both",
    live: Live = False,  # noqa: FBT002 - FastAPI passes by name
    depth: Depth = 50,
    limit: Limit = 500,
) -> Question:
    return Question(of, direction, Bounds(depth, limit), live)


Asked = Annotated[Question, Depends(_question)]


@router.get("", dependencies=[may("read")])
def show_lineage(asked: Asked, reading: Reading, caller: Caller) -> LineageAnswer:
    """Show what something was made of and what came of it."""
    with reading() as session:
        return answer_of(lineage.trace(session, asked, caller=caller))


@router.get("/events", dependencies=[may("read")])
def list_events(asked: Asked, reading: Reading, caller: Caller) -> Page[dict[str, Any]]:
    """List the same as OpenLineage run events, in the order of their times."""
    # A third of a second and 20 MB that few installations need.
    from mlreg.controller.services.lineage_events import events_of  # noqa: PLC0415

    with reading() as session:
        found = lineage.trace(session, asked, caller=caller)
        return Page(items=events_of(session, found.graph.edges))


def answer_of(found: Lineage) -> LineageAnswer:
    """Return a lineage as it is answered: nodes and arrows sorted."""
    graph = found.graph
    return LineageAnswer(
        start=tuple(sorted(map(_key, graph.start))),
        nodes=[_node(found, node) for node in sorted(graph.nodes)],
        edges=[
            EdgeAnswer(source=_key(edge.source), target=_key(edge.target))
            for edge in sorted(graph.edges)
        ],
        hidden=len(graph.hidden),
        truncated=graph.truncated,
    )


def _node(found: Lineage, node: Node) -> NodeAnswer:
    facts = json.loads(json.dumps(dict(found.facts.get(node, {})), default=_plain))
    return NodeAnswer(
        kind=node.kind, name=node.name, live=tuple(facts.pop("live", ())), facts=facts
    )


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _key(node: Node) -> str:
    return f"{node.kind}:{node.name}"
