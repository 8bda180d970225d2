"""A machine whose clock somebody sets: what `datetime.now` and `time.time` say in this process."""

from __future__ import annotations

import datetime as dt
import sys
import time

REAL = dt.datetime


class _Meta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, REAL)


class HostClock(REAL, metaclass=_Meta):
    """Goes wrong by as many seconds as the file says, which may change at any time."""

    file = None

    @classmethod
    def now(cls, tz=None):
        return REAL.now(tz) + dt.timedelta(seconds=wrong_by())


def wrong_by():
    return float(HostClock.file.read_text() or 0)


def go_wrong(file):
    """Let every module of the scheduler and of mlreg see this clock, until the process ends."""
    HostClock.file = file
    steady = time.time
    time.time = lambda: steady() + wrong_by()
    for name, module in list(sys.modules.items()):
        if name.startswith(("apscheduler", "mlreg")) and vars(module).get("datetime") is REAL:
            module.datetime = HostClock
