"""The trigger of an interval: `{every: 6h, catch_up: latest}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, WithJsonSchema
from typing_extensions import override

from mlreg.controller.domain.catching_up import CatchUp
from mlreg.controller.domain.durations import Duration, duration_schema, spell_duration
from mlreg.controller.domain.interval import last_multiple, next_multiple
from mlreg.controller.triggers.timed import TimedTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST = timedelta(minutes=1)


def _checked_interval(every: timedelta) -> timedelta:
    if every < LEAST:
        message = "an interval of at least a minute"
        raise ValueError(message)
    return every


class EveryTrigger(TimedTrigger):
    """Holds at each multiple of an interval (since 1970, UTC); real hours, no wall clock."""

    kind: ClassVar[str] = "every"

    every: Annotated[
        Duration, AfterValidator(_checked_interval), WithJsonSchema(duration_schema(LEAST))
    ]
    catch_up: CatchUp = "latest"

    @override
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""
        return next_multiple(self.every, after)

    @override
    def newest_first(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the due times in (after, until], the newest first."""
        due = last_multiple(self.every, after, until)
        while due is not None and due > after:
            yield due
            due -= self.every

    @property
    @override
    def said(self) -> dict[str, object]:
        """The interval."""
        return {"every": spell_duration(self.every)}
