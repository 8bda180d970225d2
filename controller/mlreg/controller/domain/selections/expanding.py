"""All rows since a moment: `{expanding: all}` or `{expanding: "2013-01-01T00:00:00Z"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from mlreg.controller.domain.selections.selection import Moment, Past, Selection

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval


class Expanding(Selection):
    """Every row since a moment, or since the first: it grows with each run."""

    kind: ClassVar[str] = "expanding"
    expanding: Annotated[Literal["all"] | Moment, Field(union_mode="left_to_right")]

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return all there is."""
        return (past.since(None if isinstance(self.expanding, str) else self.expanding),)
