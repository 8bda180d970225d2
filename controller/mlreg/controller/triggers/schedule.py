"""The trigger of time: `{schedule: "0 3 * * 1", timezone: Europe/Berlin, catch_up: latest}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator
from typing_extensions import override

from mlreg.controller.domain.catching_up import CatchUp, Passed, due_of, find_due
from mlreg.controller.domain.schedule import find_zone, newest_first, next_due, parse_cron
from mlreg.controller.domain.triggers import Finding, Trigger, View

if TYPE_CHECKING:
    from collections.abc import Iterator


def _checked_cron(text: str) -> str:
    parse_cron(text)
    return text


def _checked_zone(name: str) -> str:
    find_zone(name)
    return name


class ScheduleTrigger(Trigger):
    """Holds at each due time; what becomes of due times that were slept through says `catch_up`.

    The due time itself is given in the zone: `0 3 * * *` is three in the morning there, once a day.
    """

    kind: ClassVar[str] = "schedule"
    momentary: ClassVar[bool] = True

    schedule: Annotated[str, AfterValidator(_checked_cron)]
    timezone: Annotated[str, AfterValidator(_checked_zone)] = "UTC"
    catch_up: CatchUp = "latest"

    @override
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""
        return next_due(parse_cron(self.schedule), find_zone(self.timezone), after)

    @override
    def due_by(self, after: datetime, until: datetime) -> datetime | None:
        """Return the due time in (after, until] to be judged at next."""
        return due_of(self._passed(after, until), self.catch_up)

    @property
    @override
    def in_order(self) -> bool:
        """Whether each due time is judged on its own."""
        return self.catch_up == "all"

    @override
    def judge(self, view: View) -> Finding:
        """Say whether a due time lies after the previous moment and not after this one."""
        said = {"schedule": self.schedule, "timezone": self.timezone}
        passed = Passed.of(self._passed(view.previous, view.now))
        if passed is None:
            due = self.next_due(view.now).isoformat()
            return Finding(holds=False, because=f"next due {due}", missing=f"its time, {due}")
        return find_due(passed, view, self.catch_up, said)

    def _passed(self, after: datetime, until: datetime) -> Iterator[datetime]:
        return newest_first(parse_cron(self.schedule), find_zone(self.timezone), after, until)

    @property
    @override
    def patience(self) -> timedelta:
        """Stay held for a week: under `all` the time has come, and it waits for the others."""
        return timedelta(days=7)
