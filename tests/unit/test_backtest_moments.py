"""A replay judges at the moments at which the live controller does, in every zone, over its edges.

The live controller of these tests is one that looks each second: by the controller's own rules, on
readings that it finds by their times. A rehearsal of the same policy has to say the same.
"""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.backtest import Made, Retraining
from mlreg.controller.domain.backtest_life import replay
from mlreg.controller.domain.evaluating import due_moment, judge_moment, next_moment
from mlreg.controller.domain.firing import Circumstances, PastRun
from mlreg.controller.domain.memory import PolicyMemory
from mlreg.controller.domain.pending import collect, conclude
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.rehearsal import Past, rehearse
from mlreg.controller.domain.triggers import View
from mlreg.controller.domain.windows import Interval, closed_windows, window_of
from mlreg.controller.services.policy_texts import parse_policy

HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
YEAR = datetime(2024, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Africa/Casablanca",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/Asuncion",
)  # fmt: skip
BERLIN_FORWARD = datetime(2024, 3, 31, 1, tzinfo=UTC)
BERLIN_BACK = datetime(2024, 10, 27, 1, tzinfo=UTC)


class Stream:
    """A hundred labelled rows a day, and drift on every fifth; for all that want to know it."""

    monitors = (("psi",), ("labelled",))

    def train(self, wanted):
        return Made(f"made {wanted.at}", 10, 100, 2.0, wanted.at - 4 * DAY)

    def closed(self, _champion, window):
        value = 2.0 if (window.start - YEAR) // DAY % 5 == 0 else 0.0
        return [WindowReading("psi", "x", window.start, window.end, value, 1_000)]

    def matured(self, mature):
        window = mature.window
        rows = 100.0 * ((window.end - window.start) / DAY)
        return [WindowReading("labelled", "", window.start, window.end, rows, 100)]


class Controller:
    """Looks each second, as far as there is something to be done; is its own `ViewSource`."""

    def __init__(self, policy, span):
        self.policy, self.span, self.stream = policy, span, Stream()
        self.width, self.delay = policy.data.window, policy.data.label_delay
        self.runs, self.version, self.since = [], 1, span.start

    def run(self):
        start, policy = self.span.start, self.policy
        first = window_of(start - self.delay, self.width).start
        memory, now = PolicyMemory(start, first, start), start
        while True:
            coming = next_moment(policy, memory)
            if max(coming, now) > self.span.end:
                return self.runs
            now = max(now + SECOND, second_after(coming))
            memory = memory._replace(
                closed_until=window_of(now, self.width).start,
                matured_until=window_of(now - self.delay, self.width).start,
            )
            until = min(now, self.span.end)
            while (due := due_moment(policy, memory, until)) is not None:
                memory = self.judge(memory, due)

    def judge(self, memory, at):
        judged = judge_moment(self.policy, self, memory, at)
        pending = collect(self.policy, self, judged.memory, judged.fires, at)
        if not pending.fires:
            return pending.memory
        hours = self.policy.quiet_hours
        circumstances = Circumstances(
            quiet=hours is not None and hours.end_of(at) is not None,
            runs=tuple(PastRun(moment, 2.0) for moment, _ in self.runs),
        )
        concluded = conclude(self.policy, pending, circumstances, at)
        if concluded.outcome == "run":
            self.runs.append((at, tuple(one.name for one in pending.fires)))
            self.version, self.since = self.version + 1, at
        return concluded.memory

    def look(self, at):
        last = self.runs[-1][0] if self.runs else self.span.start
        return View(
            now=at, previous=at, watermark=last - self.delay, last_run_at=last,
            promoted_at=self.since, champion=self.version,
        )  # fmt: skip

    def readings(self, need, at):
        return {
            name: tuple(
                one
                for one in self.all_of(name)
                if one.end + (self.delay if name == "labelled" else timedelta()) <= at
                and (need.after is None or one.end > need.after)
            )
            for name in need.monitors
        }

    known = readings

    def events(self, *_):
        return ()

    def all_of(self, name):
        first = window_of(self.span.start - self.delay, self.width).start
        start = first if name == "labelled" else self.span.start
        for window in closed_windows(start, self.span.end, self.width):
            closed = self.stream.closed(None, window)
            yield from self.stream.matured(Windowed(window)) if name == "labelled" else closed


class Windowed:
    def __init__(self, window):
        self.window = window


def second_after(moment):
    """The first whole second after a moment: whoever looks each second is late by up to one."""
    return YEAR + ((moment - YEAR) // SECOND + 1) * SECOND


def policy_of(triggers, **more):
    data = {"window": "1d", **more.pop("data", {})}
    return parse_policy(
        json.dumps({"model": "m", "data": data, "triggers": triggers, "cooldown": "1s", **more})
    )


def replayed(policy, span):
    first = Made("first", 10, 100, 1.0, span.start - DAY)
    course = replay(policy, Stream(), first, (span, policy.data.window))
    assert all(isinstance(one, Retraining) for one in course.runs)
    return [(one.at, one.causes) for one in course.runs]


def walls(found, zone):
    return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M}" for at, _ in found]


@pytest.mark.parametrize(
    ("edge", "at", "seen"),
    [
        (BERLIN_FORWARD, "0 3 * * *", ["30 03:00", "31 03:00", "01 03:00"]),
        (BERLIN_FORWARD, "30 2 * * *", ["30 02:30", "31 03:30", "01 02:30"]),  # it is skipped
        (BERLIN_BACK, "30 2 * * *", ["26 02:30", "27 02:30", "28 02:30"]),  # once, not twice
    ],
)
def test_a_due_time_is_that_of_the_wall_clock(edge, at, seen):
    policy = policy_of([{"schedule": at, "timezone": "Europe/Berlin"}])
    midnight = edge.replace(hour=0)
    span = Interval(midnight - DAY, midnight + 2 * DAY)
    assert walls(replayed(policy, span), "Europe/Berlin") == seen
    assert replayed(policy, span) == Controller(policy, span).run()


def test_what_falls_into_quiet_hours_runs_when_they_end():
    """Each window closes in them: who judged only then would never run."""
    quiet = {"from": "22:00", "to": "06:30", "timezone": "Europe/Berlin"}
    policy = policy_of([{"every": "1d"}], quiet_hours=quiet)
    start = BERLIN_FORWARD.replace(hour=0) - 2 * DAY
    found = replayed(policy, Interval(start, start + 5 * DAY))
    assert {wall[3:] for wall in walls(found, "Europe/Berlin")} == {"06:30"}
    assert [at.hour for at, _ in found] == [5, 4, 4, 4]


def test_labels_count_when_they_are_mature_not_at_the_next_midnight():
    data = {"label_delay": "2h"}
    policy = policy_of([{"labelled_rows": 100}], data=data)
    span = Interval(YEAR, YEAR + 3 * DAY)
    assert [at for at, _ in replayed(policy, span)] == [
        YEAR + 2 * HOUR, YEAR + DAY + 2 * HOUR, YEAR + 2 * DAY + 2 * HOUR,
    ]  # fmt: skip


half_hours = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from((0, 30)))
schedules = st.builds(
    lambda minute, hour, day, zone: {"schedule": f"{minute} {hour} * * {day}", "timezone": zone},
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(("*", "0", "1-5")),
    st.sampled_from(ZONES),
)
triggers = st.lists(
    schedules
    | st.builds(lambda rows: {"labelled_rows": rows}, st.sampled_from((50, 250)))
    | st.just({"drift": "psi", "above": 1.0})
    | st.builds(lambda hours: {"every": f"{hours}h"}, st.sampled_from((7, 24, 36))),
    min_size=1,
    max_size=3,
)
quiet_hours = st.none() | st.builds(
    lambda since, until, zone: {"from": since, "to": until, "timezone": zone},
    half_hours,
    half_hours,
    st.sampled_from(ZONES),
).filter(lambda one: one["from"] != one["to"])


@settings(max_examples=40, deadline=None)
@given(
    triggers=triggers,
    quiet=quiet_hours,
    cooldown=st.sampled_from(("1s", "6h", "2d")),
    delay=st.sampled_from(("1h", "12h", "1d", "36h")),
    window=st.sampled_from(("1d", "6h")),
    first=st.integers(0, 360),
    days=st.integers(2, 8),
)
def test_replay_and_controller_agree_in_every_zone(
    triggers, quiet, cooldown, delay, window, first, days
):
    more = {} if quiet is None else {"quiet_hours": quiet}
    data = {"window": window, "label_delay": delay, "evaluate_window": "3d"}
    policy = policy_of(triggers, cooldown=cooldown, data=data, **more)
    span = Interval(YEAR + first * DAY, YEAR + (first + days) * DAY)
    live = Controller(policy, span)
    assert replayed(policy, span) == live.run()
    if any("drift" in one for one in triggers):
        return  # a rehearsal's champion is the one that served
    shown = Controller(policy, span)
    past = Past(shown, ((span.start, 1),), run_seconds=2.0, last_run_at=span.start)
    rehearsed = rehearse(policy, past, span).firings
    assert [(one.at, one.triggers) for one in rehearsed if one.outcome == "run"] == live.runs
