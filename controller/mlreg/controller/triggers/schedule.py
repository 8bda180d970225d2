"""The trigger of time: `{schedule: "0 3 * * 1", timezone: Europe/Berlin}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator
from typing_extensions import override

from mlreg.controller.domain.schedule import find_zone, next_due, parse_cron
from mlreg.controller.domain.triggers import Finding, Trigger, View

MAX_COUNTED = 1_000


def _checked_cron(text: str) -> str:
    parse_cron(text)
    return text


def _checked_zone(name: str) -> str:
    find_zone(name)
    return name


class ScheduleTrigger(Trigger):
    """Holds at each due time; due times that were slept through make one finding, and are counted.

    The due time itself is given in the zone: `0 3 * * *` is three in the morning there, once a day.
    """

    kind: ClassVar[str] = "schedule"

    schedule: Annotated[str, AfterValidator(_checked_cron)]
    timezone: Annotated[str, AfterValidator(_checked_zone)] = "UTC"

    @override
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""
        return next_due(parse_cron(self.schedule), find_zone(self.timezone), after)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether a due time lies after the previous moment and not after this one."""
        due = self.next_due(view.previous)
        if due > view.now:
            return Finding(holds=False, because=f"next due {due.isoformat()}")
        missed = 0
        while missed < MAX_COUNTED and (following := self.next_due(due)) <= view.now:
            due, missed = following, missed + 1
        because = f"due at {due.isoformat()}" + (f"; {missed} missed before it" if missed else "")
        reading = {"schedule": self.schedule, "timezone": self.timezone, "due": due.isoformat()}
        return Finding(holds=True, because=because, evidence=({**reading, "missed": missed},))

    @property
    @override
    def patience(self) -> timedelta:
        """Stay held for a week: under `all` the time has come, and it waits for the others."""
        return timedelta(days=7)
