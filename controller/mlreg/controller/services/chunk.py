"""What became of some policies that were judged together, by this process or by another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Chunk:
    """What became of some policies that were judged together.

    Attributes:
        judged: how many policies were judged, and nothing came of it.
        left: the ids of the states that are to be taken one by one.
        closed: the ids of those of which windows closed that are to be read, one by one.
        windows: how many windows were found to be measured.
    """

    judged: int = 0
    left: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    windows: int = 0

    def with_others(self, others: Chunk) -> Chunk:
        """Return what became of these and of others."""
        return Chunk(
            self.judged + others.judged,
            [*self.left, *others.left],
            [*self.closed, *others.closed],
            self.windows + others.windows,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Chunk:
        """Read what `to_json` wrote."""
        return cls(form["judged"], form["left"], form["closed"], form["windows"])
