"""A rehearsal does what the live controller would have done, on what was known at each moment."""

from datetime import UTC, datetime, timedelta

import pytest

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.rehearsal import MOST_MOMENTS, Past, Unread, rehearse
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.rehearsing import StoredReadings

DAY = timedelta(days=1)
START = datetime(2013, 7, 1, tzinfo=UTC)
SPAN = Interval(START, START + 30 * DAY)
SERVED = ((START - 40 * DAY, 1),)


class Known:
    """Readings by the moment from which on they are known."""

    def __init__(self, readings=()):
        self.readings = readings

    def known(self, need, at):
        found = {monitor: [] for monitor in need.monitors}
        for known_at, one in self.readings:
            wanted = one.monitor in found and (need.after is None or one.end > need.after)
            if wanted and known_at <= at:
                found[one.monitor].append(one)
        return {monitor: tuple(readings) for monitor, readings in found.items()}


def window(monitor, day, value, subject="", rows=1_000):
    start = START + day * DAY
    return WindowReading(monitor, subject, start, start + DAY, value, rows)


def rehearsed(text, readings=(), **options):
    past = Past(Known(readings), **{"champions": SERVED, **options})
    return rehearse(parse_policy(f"model: m\ndata: {{label_delay: 2d}}\n{text}"), past, SPAN)


def outcomes(found):
    return [one.outcome for one in found.firings]


def test_a_schedule_fires_at_its_due_times():
    found = rehearsed('triggers: [{schedule: "0 3 * * 1"}]', run_seconds=7.0)
    assert [one.at for one in found.firings] == [
        datetime(2013, 7, day, 3, tzinfo=UTC) for day in (1, 8, 15, 22, 29)
    ]
    assert (found.runs, found.train_seconds) == (5, 35.0)
    assert found.until == found.asked_until == SPAN.end


def test_what_holds_runs_back_is_that_of_the_live_controller():
    daily = 'triggers: [{schedule: "0 3 * * *"}]\n'
    assert outcomes(rehearsed(daily + "cooldown: 3d")).count("cooldown") == 20
    # 7 runs of 7 s a week: of 21 s three are left
    dear = rehearsed(daily + "budget: {train_seconds_per_week: 20}", run_seconds=7.0)
    assert outcomes(dear)[:8] == ["run"] * 3 + ["budget"] * 4 + ["run"]
    quiet = rehearsed(daily + 'quiet_hours: {from: "01:00", to: "05:00"}')
    assert quiet.runs == 30
    assert {one.at.hour for one in quiet.firings if one.outcome == "run"} == {5}


def test_drift_fires_when_the_window_closes_and_labels_when_they_are_mature():
    drift = [(START + 11 * DAY, window("psi", 10, 0.9, "temp"))]
    found = rehearsed("triggers: [{drift: psi, above: 0.2}]", drift)
    assert [one.at for one in found.firings] == [START + 11 * DAY]
    assert "temp" in found.firings[0].because
    labelled = [(START + 13 * DAY, window("labelled", 10, 500.0))]
    found = rehearsed("triggers: [{labelled_rows: 400}]", labelled)
    assert found.firings[0].at == START + 13 * DAY


def test_a_version_that_came_to_serve_at_a_moment_came_of_it():
    drift = [(START + 11 * DAY, window("psi", 10, 0.9, "temp"))]
    served = (*SERVED, (START + 11 * DAY, 2))  # in virtual time a run takes none
    found = rehearsed("triggers: [{drift: psi, above: 0.2}]", drift, champions=served)
    assert [one.at for one in found.firings] == [START + 11 * DAY]


def test_a_policy_without_readings_has_nothing_to_fire_on():
    found = rehearsed("triggers: [{drift: psi, above: 0.2}, {labelled_rows: 5}]")
    assert (found.firings, found.runs, found.moments) == ((), 0, 30)
    assert found.unread == (Unread("drift", None), Unread("labelled_rows", None))


def test_triggers_that_were_not_read_from_the_beginning_are_named():
    text = 'triggers: [{drift: psi, above: 9}, {labelled_rows: 5}, {schedule: "0 3 * * *"}]'
    empty = [(START, window("psi", day, None, "temp")) for day in range(5)]
    later = [(START, window("psi", day, 0.1, "temp")) for day in range(5, 30)]
    labelled = [(START, window("labelled", day, 0.0)) for day in range(30)]
    found = rehearsed(text, empty + later + labelled)
    assert found.unread == (Unread("drift", START + 5 * DAY),)


def test_it_ends_and_says_how_far_it_came():
    found = rehearsed('triggers: [{schedule: "* * * * *"}]')
    assert found.until < found.asked_until
    assert found.moments <= MOST_MOMENTS


@pytest.mark.parametrize(
    ("taken_after", "known_after"),
    [(timedelta(minutes=1), timedelta()), (2 * DAY, 2 * DAY), (9 * DAY, 2 * DAY)],
)
def test_stored_readings_are_known_from_the_close_or_the_maturity_of_their_window(
    taken_after, known_after
):
    one = window("psi", 0, 0.5)
    stored = StoredReadings(None, (1, "production"), until=SPAN.end, delays=(2 * DAY, 2 * DAY))
    assert stored._known_at(one, one.end + taken_after) == one.end + known_after
