"""The lineage graph over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from mlreg.client.wire.base import Answer

Direction = Literal["upstream", "downstream", "both"]


class NodeAnswer(Answer):
    """Something with a lineage.

    Attributes:
        kind: segment, snapshot, contract, run, version, decision or revision.
        name: a digest, a number, `flights/12`, or `flights:production/7` for a revision.
        live: the environments where a version is champion now.
        facts: what is said of it besides, by name.
    """

    kind: str
    name: str
    live: tuple[str, ...] = ()
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """How edges name it: `kind:name`."""
        return f"{self.kind}:{self.name}"


class EdgeAnswer(Answer):
    """An arrow from what was used to what came of it, each as `kind:name`."""

    source: str
    target: str


class LineageAnswer(Answer):
    """What something was made of, and what came of it.

    Attributes:
        start: what was asked about, as `kind:name`.
        hidden: how many more nodes there are that the asker may not see.
        truncated: there is more beyond the bounds of the question.
    """

    start: tuple[str, ...]
    nodes: list[NodeAnswer]
    edges: list[EdgeAnswer]
    hidden: int = 0
    truncated: bool = False
