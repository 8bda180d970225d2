"""A small part of the measured triggers, nightly: what the page says of one family still holds."""

import pytest

from benchmarks.streams import Shape
from benchmarks.triggers import Stream, measure


@pytest.mark.nightly
def test_triggers_on_a_stream_that_changes_and_on_one_that_does_not():
    calm = measure(Stream("SEA", "none", 1, 0), Shape())
    changed = measure(Stream("SEA", "abrupt", 1, 0), Shape())
    assert calm["every 4 weeks", "full"].false <= 4
    assert calm["skill drops", "full"].false <= 15
    assert changed["every window", "full"].gain > 0.05
    assert changed["weekly", "full"].gain > 0.05
