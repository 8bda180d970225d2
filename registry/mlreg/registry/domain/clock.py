"""Business time as a value someone hands out; never leases, tokens or time-outs, which are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """Tells business time: aware, UTC, never decreasing while the installation lives."""

    def now(self) -> datetime:
        """Return the present moment of business."""
        ...
