"""`mlreg lineage`: what something was made of, and what came of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlreg.cli.output import say, show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from mlreg.client.client import Client
    from mlreg.client.wire.lineage import Direction, LineageAnswer, NodeAnswer

WIDTH = 80
SHORT = 19
"""`sha256:` and twelve digits; `--json` has them whole."""
MAX_INDENT = 40
SISTERS = 5
"""Nodes of one kind under one parent that are written out; the rest is counted."""


def lineage(
    thing: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[/VERSION]|KIND:NAME", help="flights/12, segment:DIGEST, run:17 ..."
        ),
    ],
    upstream: Annotated[bool, typer.Option("--upstream", help="Only what it was made of.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", help="Only what came of it.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Only live versions that have it in their ancestry.")
    ] = False,
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Steps at most.")] = 50,
    limit: Annotated[int, typer.Option(min=1, max=5000, help="Nodes at most.")] = 500,
    form: Annotated[
        Literal["tree", "openlineage"], typer.Option("--format", help="As what.")
    ] = "tree",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where OpenLineage events go, one a line.")
    ] = None,
) -> None:
    """Show what something was made of, and what came of it."""
    direction = _direction(upstream=upstream, downstream=downstream)
    with open_client() as client:
        if form == "openlineage":
            _write_events(client, thing, direction, depth, limit, output)
            return
        found = client.lineage.of(thing, direction=direction, live=live, depth=depth, limit=limit)
    if live:
        show(found, table=_live_table(found))
    else:
        show(found, text="\n".join(_tree(found)))
    _warn_of(found)


def _direction(*, upstream: bool, downstream: bool) -> Direction:
    if upstream == downstream:
        return "both"
    return "upstream" if upstream else "downstream"


def _write_events(
    client: Client, thing: str, direction: Direction, depth: int, limit: int, output: Path | None
) -> None:
    """Print events, or write them into a new file, one on a line."""
    events = client.lineage.events(thing, direction=direction, depth=depth, limit=limit)
    lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    if output is None:
        print(lines, end="")
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(lines)
    except FileExistsError as error:
        raise InvalidError(f"{output} exists", code="file_exists") from error
    say(f"wrote {len(events)} events to {output}")


def _live_table(found: LineageAnswer) -> Table:
    rows = [
        (node.name, ", ".join(node.live), node.facts.get("lane"), _day(node.facts["created_at"]))
        for node in found.nodes
        if node.live
    ]
    return Table(("version", "live in", "lane", "trained"), rows, "no live version has it in it")


def _warn_of(found: LineageAnswer) -> None:
    if found.hidden:
        warn(f"{found.hidden} more that you may not see")
    if found.truncated:
        warn("there is more: raise --limit or --depth")


def _tree(found: LineageAnswer) -> Iterator[str]:
    nodes = {node.key: node for node in found.nodes}
    above, below = defaultdict(list), defaultdict(list)
    for edge in found.edges:
        above[edge.target].append(edge.source)
        below[edge.source].append(edge.target)
    for start in found.start:
        yield _line(nodes[start], "")
        for title, children in (("made of", above), ("used by", below)):
            if children[start]:
                yield f"{title}:"
                yield from _branch(nodes, children, start, "  ", {start})


def _branch(
    nodes: Mapping[str, NodeAnswer],
    children: Mapping[str, Sequence[str]],
    parent: str,
    indent: str,
    told: set[str],
) -> Iterator[str]:
    """Yield the lines below a node; what was told already is only named."""
    if len(indent) > MAX_INDENT and children[parent]:
        yield f"{indent}... and on from there (`--json` has it all)"
        return
    counted: dict[str, int] = defaultdict(int)
    for key in sorted(children[parent], key=lambda key: _order(nodes[key])):
        node = nodes[key]
        counted[node.kind] += 1
        if counted[node.kind] > SISTERS:
            continue
        if key in told:
            yield f"{indent}{_named(node)}  (above)"
            continue
        told.add(key)
        yield _line(node, indent)
        yield from _branch(nodes, children, key, f"{indent}  ", told)
    for kind, count in counted.items():
        if count > SISTERS:
            yield f"{indent}... and {count - SISTERS} more {kind}s"


def _order(node: NodeAnswer) -> tuple[str, str]:
    said: Mapping[str, Any] = node.facts
    return node.kind, str(said.get("start") or said.get("created_at") or said.get("at") or "")


def _line(node: NodeAnswer, indent: str) -> str:
    line = f"{indent}{_named(node)}  {_said(node)}".rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _named(node: NodeAnswer) -> str:
    if node.kind == "version":
        return node.name
    name = node.name[:SHORT] if node.name.startswith("sha256:") else node.name
    return f"{node.kind} {name}"


def _said(node: NodeAnswer) -> str:
    """Return what is said of a node, in a few words."""
    words = [str(word) for word in map(node.facts.get, _SAID.get(node.kind, ())) if word]
    if "rows" in node.facts:
        words.append(f"{node.facts['rows']} {node.facts['rows_of']}")
    if "start" in node.facts:
        words.append(f"{_day(node.facts['start'])} to {_day(node.facts['end'])}")
    elif {"created_at", "at"} & node.facts.keys():
        words.append(_day(node.facts.get("at") or node.facts.get("created_at")))
    if node.live:
        words.append(f"LIVE in {', '.join(node.live)}")
    if node.facts.get("present"):
        words.append("in force")
    return ", ".join(words)


_SAID = {
    "version": ("lane",),
    "run": ("lane", "state", "cause"),
    "decision": ("verdict", "environment"),
    "revision": ("cause", "actor"),
}


def _day(moment: object) -> str:
    return str(moment)[:10]
