"""All rows since a moment: `{expanding: all}` or `{expanding: "2013-01-01T00:00:00Z"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Discriminator
from typing_extensions import override

from mlreg.controller.domain.policy_part import tagged
from mlreg.controller.domain.selections.selection import Moment, Past, Selection
from mlreg.controller.domain.yaml_file import TAG

if TYPE_CHECKING:
    from mlreg.controller.domain.windows import Interval


def _form_of(given: object) -> str | None:
    """Return what is meant: `all`, or what has a digit in it, as every moment has."""
    if isinstance(given, str) and not any(map(str.isdigit, given)):
        return f"{TAG}all" if given == "all" else None
    return f"{TAG}moment"


class Expanding(Selection):
    """Every row since a moment, or since the first: it grows with each run."""

    kind: ClassVar[str] = "expanding"
    expanding: Annotated[
        Annotated[Literal["all"], tagged("all")] | Annotated[Moment, tagged("moment")],
        Discriminator(
            _form_of,
            custom_error_type="no_beginning",
            custom_error_message="must be all, or a moment such as 2013-01-01T00:00:00Z",
        ),
    ]

    @override
    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return all there is."""
        return (past.since(None if isinstance(self.expanding, str) else self.expanding),)
