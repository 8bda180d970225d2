"""What the triggers of events share: each event counts once, and the newest are the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.triggers import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.triggers import Event

SHOWN = 10


def told(events: Sequence[Event], said: Mapping[str, object]) -> Finding:
    """Return that there were these events, oldest first, one at least.

    Args:
        events: those that are new.
        said: what the policy says, for the evidence.
    """
    newest = events[-1]
    more = f" (and {len(events) - 1} before it)" if len(events) > 1 else ""
    evidence = tuple({**said, "at": one.at.isoformat(), **one.evidence} for one in events[-SHOWN:])
    return Finding.held(f"{newest.what} at {newest.at:%Y-%m-%d %H:%M:%S} UTC{more}", evidence)
