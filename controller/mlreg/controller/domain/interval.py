"""Due times at a fixed interval: `every: 6h`, in real hours, whatever clocks on walls do.

What always holds: due times are whole multiples of the interval since 1970-01-01 UTC, so a restart
moves none of them; an interval that divides a day is due at the same times of every day (UTC).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.windows import ORIGIN

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def next_multiple(every: timedelta, after: datetime) -> datetime:
    """Return the first due time strictly after a moment."""
    return ORIGIN + ((after - ORIGIN) // every + 1) * every


def last_multiple(every: timedelta, after: datetime, until: datetime) -> datetime | None:
    """Return the newest due time in (after, until], None where there is none."""
    due = ORIGIN + (until - ORIGIN) // every * every
    return due if due > after else None
