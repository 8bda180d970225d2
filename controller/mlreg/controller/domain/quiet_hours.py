"""Quiet hours: when a policy starts nothing by itself.

`quiet_hours: {from: "22:00", to: "06:00", timezone: Europe/Berlin, days: [sat, sun]}`

What always holds: a moment's quiet stretch ends after it; stretches that touch are one. `days` are
the local days on which a stretch begins; without `from` and `to` they are quiet from midnight to
midnight. A wall time that clocks skip is taken as much later (PEP 495).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from mlreg.controller.domain.border import said
from mlreg.controller.domain.policy_part import PolicyPart
from mlreg.controller.domain.zone import Timezone, find_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WALL = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_LONGEST_DAYS = 9


def _checked_wall(text: object) -> object:
    if text is None or (isinstance(text, str) and _WALL.fullmatch(text)):
        return text
    message = f'{text!r} is no time of day: write "22:00", in quotes (YAML reads 22:00 as a number)'
    raise ValueError(message)


Wall = Annotated[
    str,
    BeforeValidator(_checked_wall),
    WithJsonSchema({"type": "string", "pattern": f"^{_WALL.pattern}$", "format": "HH:MM"}),
]


class QuietHours(PolicyPart):
    """When a firing waits: judged again when the quiet hours end."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"if": said("from", is_a="string"), "then": said("to", is_a="string")},
                {"if": said("to", is_a="string"), "then": said("from", is_a="string")},
            ]
        }
    )
    from_: Wall | None = Field(default=None, alias="from")
    to: Wall | None = None
    timezone: Timezone = "UTC"
    days: tuple[Day, ...] = Field(default=WEEK, json_schema_extra={"minItems": 1})

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.from_ is None) != (self.to is None):
            message = "needs both `from` and `to`, or neither (then the `days` are quiet)"
            raise ValueError(message)
        if self.from_ is not None and self.from_ == self.to:
            message = "`from` and `to` are the same: nothing is quiet, or everything"
            raise ValueError(message)
        if not self.days:
            message = "`days` names no day: nothing is quiet"
            raise ValueError(message)
        if self.from_ is None and set(self.days) == set(WEEK):
            message = "every hour is quiet: nothing would ever be retrained"
            raise ValueError(message)
        return self

    def end_of(self, moment: datetime) -> datetime | None:
        """Return when the quiet stretch that holds the moment ends (UTC); None: it is not quiet."""
        zone = find_zone(self.timezone)
        first = moment.astimezone(zone).date() - timedelta(days=2)
        until = moment
        for start, end in self._stretches(zone, first):
            if start <= until < end:
                until = end
        return until if until > moment else None

    def _stretches(self, zone: ZoneInfo, first: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield the stretches that begin on the days from then on, in order."""
        begin = _wall(self.from_)
        finish = _wall(self.to)
        for number in range(_LONGEST_DAYS):
            day = first + timedelta(days=number)
            if WEEK[day.weekday()] not in self.days:
                continue
            last = day if finish > begin else day + timedelta(days=1)
            yield _moment(day, begin, zone), _moment(last, finish, zone)


def _wall(text: str | None) -> time:
    return time.fromisoformat(text) if text is not None else time()


def _moment(day: date, wall: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)
