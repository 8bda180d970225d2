"""Processes whose own parent died: who adopts them, and collects their ends.

Linux only (prctl). What always holds: a process that adopts no orphans collects no end here, so
the ends of its own children are left to who started them.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent died, so that none can slip away."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(own: int) -> None:
    """Collect the ends of adopted descendants, for which nobody else waits.

    Args:
        own: the only child that this process has started; its end is left to be read.
    """
    options = os.WEXITED | os.WNOHANG
    with suppress(ChildProcessError):
        while _adopts() and (dead := os.waitid(os.P_ALL, 0, options | os.WNOWAIT)) is not None:
            if dead.si_pid == own:
                return
            os.waitpid(dead.si_pid, 0)


def _adopts() -> bool:
    answer = ctypes.c_int()
    _LIBC.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)
