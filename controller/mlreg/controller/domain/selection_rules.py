"""What a policy may not say of rows: selections that leave none, and windows that never close.

What always holds: asked when a policy is applied, and never when it is read again, as all of
`policy_rules.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.bootstrap import MIN_HOURS
from mlreg.controller.domain.durations import LONGEST, spell_duration
from mlreg.controller.domain.policy_rules import Complaint
from mlreg.controller.domain.remembering import halves
from mlreg.controller.domain.selections.expanding import Expanding
from mlreg.controller.domain.selections.recency import Recency
from mlreg.controller.domain.selections.reservoir import Reservoir
from mlreg.controller.domain.selections.seasonal import Seasonal
from mlreg.controller.domain.selections.since_change import SinceChange
from mlreg.controller.domain.selections.sliding import Sliding
from mlreg.controller.domain.windows import DAY, HOUR, ORIGIN, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from mlreg.controller.domain.data_rule import DataRule
    from mlreg.controller.domain.policy import Policy

LONGEST_WINDOW = 366 * DAY
SELECT = ("data", "select")


def impossible_rows(policy: Policy) -> Iterator[Complaint]:
    """Yield why rows would be none, or would never be looked at."""
    data = policy.data
    if data.window > LONGEST_WINDOW:
        longest = spell_duration(LONGEST_WINDOW)
        yield Complaint(("data", "window"), f"at most {longest}: a trigger looks at many windows")
    yield from _of_times(data)
    yield from _of_half_life(data)
    if isinstance(data.select, SinceChange) and data.select.give_up < data.window:
        given_up, window = spell_duration(data.select.give_up), spell_duration(data.window)
        yield Complaint(
            (*SELECT, "give_up"),
            f"{given_up} is over before the next window ({window}) tells of any row",
        )
    yield from _of_memory(policy)


def rows_ahead(data: DataRule, now: datetime) -> Iterator[Complaint]:
    """Yield that a selection begins later than now."""
    select = data.select
    if isinstance(select, Expanding) and not isinstance(select.expanding, str):
        key, since = "expanding", select.expanding
    elif isinstance(select, Reservoir) and select.since is not None:
        key, since = "since", select.since
    else:
        return
    if since > now:
        train = spell_duration(data.train_window)
        yield Complaint((*SELECT, key), f"lies ahead: until then the newest {train} train")


def _of_times(data: DataRule) -> Iterator[Complaint]:
    select, evaluate = data.select, data.evaluate_window
    if isinstance(select, Sliding) and select.sliding < evaluate:
        sliding, window = spell_duration(select.sliding), spell_duration(evaluate)
        yield Complaint(
            (*SELECT, "sliding"),
            f"{sliding} of rows to train on is shorter than the evaluate_window of {window}",
        )
    if isinstance(select, Seasonal):
        back = select.turns * select.seasonal + select.width
        if back > LONGEST:
            years = f"{back / (365 * DAY):,.0f} years"
            yield Complaint((*SELECT, "turns"), f"they go back {years}; at most 100")
        if select.width < HOUR:
            yield Complaint((*SELECT, "width"), "is less than an hour: rows are taken by hours")


def _of_half_life(data: DataRule) -> Iterator[Complaint]:
    half_life: timedelta | None = None
    if isinstance(data.select, Recency | SinceChange):
        half_life = data.select.half_life
    if half_life is not None and half_life < HOUR:
        yield Complaint(
            (*SELECT, "half_life"),
            f"after {spell_duration(half_life)} a row counts half: of a day, none would count",
        )


def _of_memory(policy: Policy) -> Iterator[Complaint]:
    """Yield that what is left of the evaluation after the looking can give no verdict."""
    if policy.memory is None or not policy.gates:
        return
    window = policy.data.evaluate_window
    cut = halves(Interval(ORIGIN, ORIGIN + window))
    if cut is None or cut[1].length < MIN_HOURS * HOUR:
        yield Complaint(
            ("memory",),
            f"the newer half of the evaluate_window judges, and half of {spell_duration(window)}"
            f" can never give a verdict: gates need rows of {MIN_HOURS} hours or more",
        )
