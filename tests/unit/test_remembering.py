"""Which older versions are looked at, on which rows, and which of them is the best."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.remembering import MemoryRule, best_of, halves, spread_versions
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.recalling import CHILD_FAILED, ask_apart
from mlreg.controller.services.run_folder import ChildRefusedError

START = datetime(2013, 6, 1, tzinfo=UTC)


@given(st.sets(st.integers(1, 500), max_size=60), st.integers(1, 20))
def test_versions_are_spread_over_all_times_the_newest_first(numbers, most):
    chosen = spread_versions(sorted(numbers), most)
    assert len(chosen) == min(most, len(numbers))
    assert chosen == sorted(set(chosen), reverse=True)
    assert set(chosen) <= numbers
    if numbers:
        assert chosen[0] == max(numbers)
    if most > 1 and numbers:
        assert chosen[-1] == min(numbers)


@given(st.integers(1, 24 * 40))
def test_what_looks_and_what_judges_share_no_row(hours):
    window = Interval(START, START + timedelta(hours=hours))
    cut = halves(window)
    if cut is None:
        assert hours < 2
        return
    looks, judges = cut
    assert (looks.start, judges.end) == (window.start, window.end)
    assert looks.end == judges.start
    assert judges.length >= looks.length


@given(st.dictionaries(st.integers(1, 50), st.none() | st.floats(0.01, 9), max_size=9))
def test_the_best_is_better_than_the_champion(values):
    champion = max(values, default=1)
    best = best_of(values, champion, "log_loss")
    known = {one: value for one, value in values.items() if value is not None}
    if best is None:
        bar = known.get(champion)
        assert bar is None or all(value >= bar for value in known.values())
    else:
        assert known[best] == min(known.values())
        assert known[best] < known[champion]


@pytest.mark.parametrize(("metric", "best"), [("auc", 1), ("log_loss", 2)])
def test_greater_or_smaller_is_better(metric, best):
    assert best_of({1: 0.9, 2: 0.1, 3: 0.5}, 3, metric) == best


def test_the_main_metric_is_that_of_the_task():
    assert MemoryRule().metric_for("regression") == "rmse"
    assert MemoryRule(metric="mae").metric_for("regression") == "mae"


@pytest.mark.parametrize("error", CHILD_FAILED)
def test_a_version_that_ends_its_child_is_left_out_alone(error):
    said = []

    def ask(some):
        if any(one.number == 2 for one in some):
            why = {"code": "x", "message": "bad tree", "hint": ""}
            raise error(**why) if error is ChildRefusedError else error("signal 11")
        return {one.number: {"auc": 0.5} for one in some}

    sources = [SimpleNamespace(number=number) for number in (3, 2, 1)]
    assert set(ask_apart(ask, sources, said.append)) == {3, 1}
    assert len(said) == 1
    assert said[0].startswith("version 2 is left out: ")
    assert ask_apart(ask, [], said.append) == {}
