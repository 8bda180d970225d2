"""Lineage, as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.lineage import LineageAnswer

if TYPE_CHECKING:
    from mlreg.client.transport import Transport
    from mlreg.client.wire.lineage import Direction


class Lineage:
    """What things were made of, and what came of them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def of(
        self,
        thing: str,
        *,
        direction: Direction = "both",
        live: bool = False,
        depth: int = 50,
        limit: int = 500,
    ) -> LineageAnswer:
        """Return the lineage of something.

        Args:
            thing: `flights` (what is live of it), `flights/12`, `flights@champion:staging`,
                `segment:sha256:…`, `snapshot:sha256:…`, `run:17`, `decision:21`.
            direction: towards what it was made of, towards what came of it, or both.
            live: only the versions that serve now and have it in their ancestry.
            depth: steps at most.
            limit: nodes at most; the answer says when there are more.

        Raises:
            InvalidError: it names nothing. NotFoundError: it is not there, or not yours to see.
        """
        return self._transport.get(
            path("lineage"),
            LineageAnswer,
            of=thing,
            direction=direction,
            live=live,
            depth=depth,
            limit=limit,
        )

    def events(
        self, thing: str, *, direction: Direction = "both", depth: int = 50, limit: int = 500
    ) -> list[dict[str, Any]]:
        """Return the same as OpenLineage run events (version 2-0-2 of its specification).

        Raises:
            As `of`.
        """
        return self._transport.get(
            path("lineage", "events"),
            Page[dict[str, Any]],
            of=thing,
            direction=direction,
            depth=depth,
            limit=limit,
        ).items
