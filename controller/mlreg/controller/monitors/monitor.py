"""What a monitor is: a watched quantity, read once per closed window.

What always holds: a monitor is pure; it is shown the merged profile of a window and the champion's
reference profile, and answers values. Which state a reading has (outage, empty) is not its concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlreg.controller.domain.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class WindowView:
    """A closed window as monitors see it; the reference is None before the first champion."""

    profile: Profile
    reference: Profile | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of one monitor, about one subject (a feature, or everything)."""

    monitor: str
    value: float | None
    rows: int
    subject: str = ""


class Monitor(Protocol):
    """Reads a window."""

    def read(self, view: WindowView) -> Sequence[Measured]:
        """Return the values of this window."""
        ...
