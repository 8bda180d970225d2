"""What an erasure says of itself: what it took away, and what of the entity it could not reach.

```
InvalidError
└── EntityInReasonError   the reason names the entity, and reasons stay for ever
```

What always holds: a report names places, never the entity or a prediction.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

What = Literal["version_file", "source", "frozen_answer"]


class EntityInReasonError(InvalidError):
    """The reason names the entity: it stands in the audit log, from which nothing is erased."""

    code = "entity_in_reason"
    hint = "Say why without the name, for example by the number of a ticket."

    def __init__(self) -> None:
        super().__init__(
            "the reason names the entity, and a reason stays in the audit log for ever"
        )


@dataclass(frozen=True, slots=True)
class Remainder:
    """A place that has, or may have, rows of the entity still.

    Attributes:
        what: `version_file` is a file of predictions of a version (`flights/3 holdout.parquet`),
            `source` are files or tables of the user's own that snapshots refer to (their URL),
            `frozen_answer` is a frozen answer to a query (its snapshot).
        rows: how many; None: it cannot be told.
    """

    what: What
    name: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What an erasure did beside the rows of the log.

    Attributes:
        segments: how many were written anew, or went.
        answers: how many files of frozen answers to queries went.
        snapshots: how many lost rows.
        evidence: how many readings, replays, checks and explanations named rows that went.
        joined: the later erasure of the same entity that did it, if one did.
    """

    segments: int = 0
    answers: int = 0
    snapshots: int = 0
    evidence: int = 0
    remaining: tuple[Remainder, ...] = ()
    joined: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "remaining": [asdict(one) for one in self.remaining]}


def check_reason(reason: str, entity: str) -> None:
    """Refuse a reason in which the entity stands as a word, in whatever case.

    Raises:
        EntityInReasonError: it does.
    """
    word = rf"(?<!\w){re.escape(entity.strip().casefold())}(?!\w)"
    if entity.strip() and re.search(word, reason.casefold()):
        raise EntityInReasonError


def sorted_remainders(found: Iterable[Remainder]) -> tuple[Remainder, ...]:
    """Return each remainder once, by what and name."""
    return tuple(sorted(set(found), key=lambda one: (one.what, one.name)))
