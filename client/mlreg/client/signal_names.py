"""Signals by the names that people know them by."""

from __future__ import annotations

import signal
from contextlib import suppress


def name_of_signal(number: int) -> str:
    """Return a signal's name, `SIGKILL`; most real-time signals have none but their number."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
