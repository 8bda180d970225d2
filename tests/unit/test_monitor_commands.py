"""What the commands of monitors print, and which options go together; without a server."""

from datetime import UTC, datetime, timedelta

import pytest

from mlreg.cli.commands import monitor
from mlreg.cli.commands.drift import drift
from mlreg.cli.commands.parity import parity
from mlreg.cli.tables import table_lines
from mlreg.client.errors import InvalidError
from mlreg.client.wire.monitors import ReadingAnswer

START = datetime(2013, 7, 1, tzinfo=UTC)


def reading(name, value=0.5, *, state="final", subject="", verdict=None, day=0, bounds=()):
    start = START + timedelta(days=day)
    low, high = bounds or (None, None)
    return ReadingAnswer(
        monitor=name,
        subject=subject,
        start=start,
        end=start + timedelta(days=1),
        value=value,
        low=low,
        high=high,
        rows=100,
        state=state,
        verdict=verdict,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"window": "2013-07-01", "days": 3},
        {"window": "2013-07-01", "feature": "temp"},
        {"exact": True, "joint": True},
        {"joint": True, "days": 3},
        {"exact": True, "by": "hour"},
    ],
)
def test_options_of_drift_that_do_not_go_together_are_refused(options):
    with pytest.raises(InvalidError, match="--"):
        drift("flights", **options)


def test_until_without_a_window_is_refused():
    with pytest.raises(InvalidError, match="--until goes with --window"):
        parity("flights", until=START)


def test_what_is_unusual_is_marked_and_said():
    found = [reading("rows", 9.0, verdict="unusual"), reading("score_mean", 0.25)]
    lines = list(table_lines(monitor._overview(found)))
    assert lines[1].split()[2:] == ["9!", "0.25"]
    assert "! unusual for this stream" in monitor._legend(found)
    (line,) = list(table_lines(monitor._one_by_one(found[:1], {"monitor"}, "")))[1:]
    assert line.split()[-1] == "unusual"


def test_a_column_that_never_has_a_value_is_not_shown():
    states = ["empty", "outage"]
    found = [reading("score_mean", None, state=one, day=n) for n, one in enumerate(states)]
    found += [reading("rows", 5.0, day=n) for n in range(2)]
    assert "SCORE" not in next(table_lines(monitor._overview(found)))


def test_an_interval_is_whole_in_a_narrow_terminal():
    found = [
        reading(name, 0.76363, subject="carrier=UA", bounds=(0.7037, 0.8236))
        for name in ("auc", "calibration_error")
    ]
    lines = list(table_lines(monitor._one_by_one(found, {"feature"}, ""), 80))
    assert "FEATURE" not in lines[0]
    assert all("0.76363 [0.7037, 0.8236]" in line for line in lines[1:])
    assert all(len(line) <= 80 for line in lines)


def test_a_monitor_that_is_none_is_answered_with_those_that_are():
    text = monitor._empty([reading(f"business:number-{n}") for n in range(20)])
    assert text.startswith("no readings; there are: business:number-0, business:number-1,")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert monitor._empty([]) == "no readings"
