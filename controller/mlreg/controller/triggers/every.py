"""The trigger of an interval: `{every: 6h, catch_up: latest}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator
from typing_extensions import override

from mlreg.controller.domain.catching_up import CatchUp, Passed, due_of, find_due
from mlreg.controller.domain.durations import Duration, spell_duration
from mlreg.controller.domain.interval import last_multiple, next_multiple
from mlreg.controller.domain.triggers import Finding, Trigger, View

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST = timedelta(minutes=1)


def _checked_interval(every: timedelta) -> timedelta:
    if every < LEAST:
        message = "an interval of at least a minute"
        raise ValueError(message)
    return every


class EveryTrigger(Trigger):
    """Holds at each multiple of an interval (since 1970, UTC); real hours, no wall clock."""

    kind: ClassVar[str] = "every"
    momentary: ClassVar[bool] = True

    every: Annotated[Duration, AfterValidator(_checked_interval)]
    catch_up: CatchUp = "latest"

    @override
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""
        return next_multiple(self.every, after)

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
        passed = Passed.of(self._passed(view.previous, view.now))
        if passed is None:
            due = self.next_due(view.now).isoformat()
            return Finding(holds=False, because=f"next due {due}", missing=f"its time, {due}")
        return find_due(passed, view, self.catch_up, {"every": spell_duration(self.every)})

    def _passed(self, after: datetime, until: datetime) -> Iterator[datetime]:
        due = last_multiple(self.every, after, until)
        while due is not None and due > after:
            yield due
            due -= self.every

    @property
    @override
    def patience(self) -> timedelta:
        """Stay held for a week: under `all` the time has come, and it waits for the others."""
        return timedelta(days=7)
