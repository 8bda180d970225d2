"""The trigger of time: `{schedule: "0 3 * * 1", timezone: Europe/Berlin, catch_up: latest}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, WithJsonSchema
from typing_extensions import override

from mlreg.controller.domain.catching_up import CatchUp
from mlreg.controller.domain.schedule import FIELDS, newest_first, next_due, parse_cron
from mlreg.controller.domain.zone import Timezone, find_zone
from mlreg.controller.triggers.timed import TimedTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


def _checked_cron(text: str) -> str:
    parse_cron(text)
    return text


CronText = Annotated[
    str,
    AfterValidator(_checked_cron),
    WithJsonSchema({"type": "string", "pattern": FIELDS, "format": "cron"}),
]


class ScheduleTrigger(TimedTrigger):
    """Holds at each due time; what becomes of due times that were slept through says `catch_up`.

    The due time itself is given in the zone: `0 3 * * *` is three in the morning there, once a day.
    """

    kind: ClassVar[str] = "schedule"

    schedule: CronText
    timezone: Timezone = "UTC"
    catch_up: CatchUp = "latest"

    @override
    def next_due(self, after: datetime) -> datetime:
        """Return the first due time strictly after a moment, in UTC."""
        return next_due(parse_cron(self.schedule), find_zone(self.timezone), after)

    @override
    def newest_first(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the due times in (after, until], the newest first."""
        return newest_first(parse_cron(self.schedule), find_zone(self.timezone), after, until)

    @property
    @override
    def said(self) -> dict[str, object]:
        """The cron and its zone."""
        return {"schedule": self.schedule, "timezone": self.timezone}
