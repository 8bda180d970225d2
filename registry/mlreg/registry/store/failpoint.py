"""Failpoints: named places at which a fault test kills the process, as a power cut would.

`MLREG_FAILPOINT=name` arms one of them; unarmed, a failpoint costs one look-up in the environment.
"""

from __future__ import annotations

import os
import signal


def failpoint(name: str) -> None:
    """Kill this process at once (SIGKILL) when the failpoint `name` is armed."""
    if os.environ.get("MLREG_FAILPOINT") == name:  # noqa: TID251 - the one place that reads it
        os.kill(os.getpid(), signal.SIGKILL)
