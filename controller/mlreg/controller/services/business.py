"""Business metrics: any numeric series that a user posts, shown by window beside the others.

```
InvalidError
├── InvalidSeriesError       the name, the time or the value is none
└── ...
RefusedError
└── ValueConflictError       the key is taken by another value
```

What always holds: a value counts once by (model, environment, name, key), the key being its time
unless one is given; the same value again adds nothing, another one is refused. The reading of a
window that is still open is `immature`; a value that comes after it closed is added to it. Closed
windows have a verdict, and may open an alert unless they are more than `OLD` windows back: a series
that is posted for the first time has a past, and that is no alarm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.domain.readings import EVERYTHING, WindowReading
from mlreg.controller.domain.usual_performance import BUSINESS
from mlreg.controller.domain.windows import DAY, Interval, window_of
from mlreg.controller.services import watching
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.verdicts import judged
from mlreg.controller.store import business as rows
from mlreg.controller.store import readings
from mlreg.registry.domain.errors import InvalidError, RefusedError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from mlreg.controller.store.readings import Place
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import WriteSession
    from mlreg.registry.store.tables import Model

PREFIX = "business:"
OLD = 3
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class InvalidSeriesError(InvalidError):
    """The name, the time or the value of a business metric is none."""

    code = "invalid_series"
    hint = "A name is 1 to 63 of a-z 0-9 . _ -, a time has a zone, a value is a finite number."

    def __init__(self, *, problem: str) -> None:
        super().__init__(problem)


class ValueConflictError(RefusedError):
    """The key of a value is taken by another one."""

    code = "value_conflict"
    hint = "Give this value a key of its own; a time alone is a key that is used once."

    def __init__(self, *, name: str, key: str, known: float) -> None:
        super().__init__(f"{name} has the value {known:g} under the key {key!r} already")


@dataclass(frozen=True, slots=True)
class Posted:
    """A value to be kept.

    Attributes:
        at: what moment it is about, business time.
        key: what makes it one value; its time unless one is given.
    """

    name: str
    at: datetime
    value: float
    key: str | None = None


def post_value(
    session: WriteSession,
    model: Model,
    environment: str,
    posted: Posted,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Keep a value and read its window; False if it was kept before.

    Raises:
        EnvironmentNotFoundError: it is not declared.
        InvalidSeriesError: the name, the time or the value is none.
        ValueConflictError: the key is taken by another value.
    """
    _check(posted, now)
    catalog.check_environment(session, environment)
    place = (catalog.id_of(model), environment)
    key = posted.key or posted.at.isoformat()
    row = {
        "model_id": place[0],
        "environment": environment,
        "name": posted.name,
        "key": key,
        "at": posted.at,
        "value": posted.value,
        "posted_at": now,
        "posted_by": actor.name,
    }
    if not rows.insert_value(session, row):
        at, value = rows.get_value(session, row)
        if (at, value) != (posted.at, posted.value):
            raise ValueConflictError(name=posted.name, key=key, known=value)
        return False
    in_force = policy_in_force(session, *place)
    width = DAY if in_force is None else in_force.policy.data.window
    rule = None if in_force is None else in_force.policy.monitors
    window = window_of(posted.at, width)
    read_business(session, place, window, now=now, rule=rule)
    if window.end <= now:
        again = window.end + OLD * width <= now
        watching.watch(session, place, [window], now=now, again=again)
    return True


def read_business(
    session: WriteSession,
    place: Place,
    window: Interval,
    *,
    now: datetime,
    rule: MonitorRule | None = None,
) -> None:
    """Write a window's readings of every business metric that has values in it."""
    found = rows.totals(session, place, window)
    if not found:
        return
    rule = rule or _rule(session, place)
    state = "final" if window.end <= now else "immature"
    taken = [
        WindowReading(
            monitor=PREFIX + name,
            subject=EVERYTHING,
            start=window.start,
            end=window.end,
            value=total if rule.folding(name) == "sum" else total / count,
            rows=count,
            state="final" if state == "final" else "immature",
            evidence={"folded": rule.folding(name)},
        )
        for name, (count, total) in found.items()
    ]
    rules = {one.monitor: BUSINESS for one in taken}
    readings.write_readings(session, place, judged(session, place, taken, rules), now=now)


def _rule(session: WriteSession, place: Place) -> MonitorRule:
    in_force = policy_in_force(session, *place)
    return MonitorRule() if in_force is None else in_force.policy.monitors


def _check(posted: Posted, now: datetime) -> None:
    if NAME.fullmatch(posted.name) is None:
        raise InvalidSeriesError(problem=f"{posted.name[:80]!r} is not a name of a metric")
    if posted.at.tzinfo is None:
        raise InvalidSeriesError(problem="the time has no zone")
    if posted.at > now + DAY:
        raise InvalidSeriesError(problem=f"{posted.at.isoformat()} lies in the future")
    if not math.isfinite(posted.value):
        raise InvalidSeriesError(problem=f"{posted.value} is not a finite number")
