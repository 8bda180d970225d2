"""What a selection is: declared keys, the times that train, and which rows of them, how often.

What always holds: a selection is about training rows. Rows that judge are a window behind them,
which no selection thins out, repeats or weighs; the newest trained row is older than the first that
judges. The same rows, in any order, with the same seed are chosen the same way, so a rebuild needs
no more than the snapshot and the specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, WithJsonSchema

from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.windows import Interval
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Moment = Annotated[
    AwareDatetime,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"([zZ]|[+-][0-9]{2}:?[0-9]{2})$|^[+-]?[0-9]+(\.[0-9]+)?$",
            "examples": ["2013-01-01T00:00:00Z"],
        }
    ),
]
"""A moment with its zone, or seconds since 1970."""
LEAST_EVALUATED = timedelta(hours=1)


class SelectionError(InvalidError):
    """A selection names what the rows do not have, or leaves none of them."""

    code = "invalid_selection"

    def __init__(self, *, selection: str, cause: str) -> None:
        super().__init__(f"the selection {selection!r} {cause}")


@dataclass(frozen=True, slots=True)
class Past:
    """What there is to select from.

    Attributes:
        until: the end of what trains; what judges comes behind it.
        window: the policy's `train_window`.
        first: the time of the oldest row, None where it is not known.
        changed_at: when the relation of features and label changed, None where it did not.
    """

    until: datetime
    window: timedelta
    first: datetime | None = None
    changed_at: datetime | None = None

    @property
    def sliding(self) -> Interval:
        """The newest rows, as long as the policy's window."""
        return Interval(self.until - self.window, self.until)

    def since(self, start: datetime | None) -> Interval:
        """Return all rows since a moment (None: since the first one), as far as there are any."""
        begin = max((one for one in (start, self.first) if one is not None), default=None)
        return self.sliding if begin is None or begin >= self.until else Interval(begin, self.until)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The rows to choose from.

    Attributes:
        hashes: 64 bits of each prediction id, seeded: where a row stands when lots are drawn.
        times: datetime64[us], UTC.
        columns: of the columns that the selection names, each row's value as a number.
    """

    hashes: NDArray[np.uint64]
    times: NDArray[np.datetime64]
    columns: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hashes)

    def ages(self, until: datetime) -> Floats:
        """Return how many seconds before a moment each row is; never less than none."""
        moment = np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "us")
        seconds: Floats = (moment - self.times) / np.timedelta64(1, "s")
        return np.maximum(seconds, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The rows that train.

    Attributes:
        places: ascending, each once; None: all of them.
        factors: how often each of the chosen rows counts; positive, None: once.
    """

    places: Places | None = None
    factors: Floats | None = None


class Selection(PolicyPart):
    """Which rows train; a subclass is one file with typed fields, named by its first key."""

    kind: ClassVar[str]
    """The key that names it in a policy."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it cuts by."""
        return ()

    @property
    def most_rows(self) -> int | None:
        """How many rows it takes at most; None: as many as there are."""
        return None

    @property
    def waits_for_change(self) -> bool:
        """Whether its rows begin at a change point."""
        return False

    def stretches(self, past: Past) -> tuple[Interval, ...]:
        """Return the times that train: disjoint, in order, the last ending by `past.until`."""
        return (past.sliding,)

    def evaluated(self, past: Past, window: timedelta) -> timedelta:  # noqa: ARG002 - a kind may need them
        """Return how long the window is that judges; `past.until` is its end here."""
        return window

    def choose(self, rows: Candidates, past: Past) -> Chosen:  # noqa: ARG002 - most kinds take all
        """Return which of the rows train, and how often each counts.

        Raises:
            SelectionError: it names what the rows do not have.
        """
        return Chosen()


def holes(stretches: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the times between stretches, which are in order."""
    pairs = pairwise(stretches)
    return tuple(Interval(one.end, two.start) for one, two in pairs if one.end < two.start)


def decayed(ages: Floats, half_life: timedelta) -> Floats:
    """Return how often rows of these ages (seconds) count: half as often each half life.

    Nothing counts less than a millionth: a weight of 0 would not train at all.
    """
    factors: Floats = np.maximum(0.5 ** (ages / half_life.total_seconds()), 1e-6)
    return factors


def spelt(selection: Selection) -> str:
    """Return the selection in a line, as a policy has it."""
    keys: dict[str, Any] = selection.model_dump(mode="json", exclude_none=True)
    return ", ".join(f"{key}: {value}" for key, value in keys.items())
