"""What a monitor is: a watched quantity, read once per closed window.

What always holds: a monitor is pure; it is shown the merged profile of a window, the champion's
reference profile, and the profiles of comparable windows before, and answers values: this window's,
and theirs, measured with the same yardstick. Which state a reading has (outage, empty), and whether
its value is unusual, is not its concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.controller.domain.profile import Profile
from mlreg.controller.domain.season import Judgement
from mlreg.controller.domain.stack import ProfileStack

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Profiles of past windows to compare with, in order of time."""

    starts: tuple[datetime, ...]
    stack: ProfileStack


@dataclass(frozen=True, slots=True, eq=False)
class WindowView:
    """A closed window as monitors see it.

    Attributes:
        reference: None before the first champion.
        decides: the score is a class, whose mean says nothing.
    """

    profile: Profile
    reference: Profile | None
    history: History | None = None
    decides: bool = False

    def windows(self) -> ProfileStack:
        """Return the past windows and, last, this one."""
        alone = ProfileStack.of([self.profile], self.profile.bins)
        return alone if self.history is None else self.history.stack.and_then(alone)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One value of one monitor, about one subject (a feature, or everything).

    Attributes:
        past: the same of the past windows, not-a-number where there is none; None: not judged.
        rule: how it is judged.
    """

    monitor: str
    value: float | None
    rows: int
    subject: str = ""
    past: NDArray[np.float64] | None = None
    rule: Judgement | None = None


class Monitor(Protocol):
    """Reads a window."""

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the values of this window."""
        ...


def measured(
    monitor: str, values: NDArray[np.float64], rows: int, subject: str, rule: Judgement
) -> Measured:
    """Return a reading of values by window, the last of which is this one's."""
    now = float(values[-1])
    return Measured(monitor, now if np.isfinite(now) else None, rows, subject, values[:-1], rule)
