"""Selections: which rows train, how often each counts, and none of the rows that judge."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.selections.kinds import KINDS, SELECTIONS
from mlreg.controller.domain.selections.selection import Candidates, Past, SelectionError
from mlreg.controller.domain.specification import RunSpecification
from mlreg.controller.services.selected_rows import choose_rows

DAY = timedelta(days=1)
NOW = datetime(2013, 9, 1, 7, 30, tzinfo=UTC)
UNTIL = datetime(2013, 8, 1, tzinfo=UTC)
EVERY = {
    "sliding": {"sliding": "30d"},
    "expanding": {"expanding": "all"},
    "since_change": {"since_change": 100},
    "before": {"since_change": 100, "half_life": "3d"},
    "half_life": {"half_life": "7d"},
    "stratified": {"stratified": ["carrier"], "least": 60, "most": 90},
    "seasonal": {"seasonal": "28d", "width": "3d", "turns": 3},
    "reservoir": {"reservoir": 100},
}
FORMS = st.sampled_from(list(EVERY.values()))
MOMENTS = st.integers(-400, 40).map(lambda days: NOW + days * DAY)


def past(**changes):
    return Past(**{"until": UNTIL, "window": 90 * DAY, "first": UNTIL - 200 * DAY, **changes})


def candidates(count=400, seed=0):
    rng = np.random.default_rng(seed)
    times = np.datetime64(UNTIL.replace(tzinfo=None), "us") - rng.integers(
        1, 90 * 86_400, count
    ).astype("timedelta64[s]")
    hashes = rng.integers(0, 2**63, count, dtype=np.uint64)
    carrier = rng.choice(3, count, p=[0.7, 0.25, 0.05]).astype(np.int64)
    return Candidates(hashes, times, {"carrier": carrier})


def specification(form, changed_at=None):
    data = DataRule(select=form, evaluate_window=14 * DAY)
    return RunSpecification(data=data, retrain=RetrainRule(), gates=(), changed_at=changed_at)


def test_every_kind_is_tried_here():
    assert {type(SELECTIONS.validate_python(form)) for form in EVERY.values()} == set(KINDS)


@given(FORMS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_no_row_that_judges_is_selected(form, changed_at, first):
    """Whatever is selected: training ends where judging begins, and judging has no holes."""
    windows = specification(form, changed_at).windows(NOW, first)
    assert windows.train.end == windows.evaluate.start
    assert timedelta(hours=1) <= windows.evaluate.length <= 14 * DAY
    assert all(windows.train.holds(hole.start) for hole in windows.left_out)
    assert all(hole.end < windows.train.end for hole in windows.left_out)
    if "since_change" not in form:
        usual = specification({"sliding": "30d"}).windows(NOW)
        assert windows.evaluate == usual.evaluate


@settings(max_examples=60)
@given(FORMS, st.integers(0, 1_000), st.none() | MOMENTS)
def test_the_same_rows_in_any_order_are_chosen_the_same_way(form, seed, changed_at):
    selection, rows = SELECTIONS.validate_python(form), candidates(seed=seed)
    order = np.random.default_rng(seed + 1).permutation(len(rows))
    turned = Candidates(
        rows.hashes[order], rows.times[order], {"carrier": rows.columns["carrier"][order]}
    )
    assert_same(told(selection, rows, changed_at), told(selection, turned, changed_at))


def told(selection, rows, changed_at):
    chosen = selection.choose(rows, past(changed_at=changed_at))
    places = np.arange(len(rows)) if chosen.places is None else chosen.places
    assert (np.diff(places) > 0).all(), "each row once, in its order"
    factors = np.ones(len(places)) if chosen.factors is None else chosen.factors
    assert (factors > 0).all()
    assert np.isfinite(factors).all()
    return dict(zip(rows.hashes[places].tolist(), factors.tolist(), strict=True))


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert one == pytest.approx(other)


def test_a_reservoir_is_a_uniform_sample_and_keeps_its_rows():
    selection = SELECTIONS.validate_python({"reservoir": 100})
    rows = candidates(10_000)
    taken = selection.choose(rows, past()).places
    assert len(taken) == 100
    stamps = rows.times.astype(np.int64)
    older = (stamps < np.median(stamps))[taken].sum()
    assert 30 < older < 70, "old rows are as likely as new ones (four standard deviations)"
    half = Candidates(rows.hashes[:5_000], rows.times[:5_000])
    before = set(half.hashes[selection.choose(half, past()).places].tolist())
    kept = before & set(rows.hashes[taken].tolist())
    assert kept == {one for one in rows.hashes[taken].tolist() if one in set(half.hashes.tolist())}


def test_weights_halve_with_every_half_life():
    selection = SELECTIONS.validate_python({"half_life": "7d"})
    times = np.array([UNTIL.replace(tzinfo=None) - days * DAY for days in (0, 7, 14)])
    rows = Candidates(np.arange(3, dtype=np.uint64), times.astype("datetime64[us]"))
    assert selection.choose(rows, past()).factors.tolist() == [1.0, 0.5, 0.25]


def test_slices_are_evened_out():
    selection = SELECTIONS.validate_python({"stratified": ["carrier"], "least": 60, "most": 90})
    rows = candidates(400)
    chosen = selection.choose(rows, past())
    carrier = rows.columns["carrier"]
    sizes = np.bincount(carrier)
    drawn = np.bincount(carrier[chosen.places])
    assert drawn.tolist() == np.minimum(sizes, 90).tolist()
    counts = np.bincount(carrier[chosen.places], weights=chosen.factors)
    assert counts == pytest.approx(np.maximum(sizes, 60))
    with pytest.raises(SelectionError, match="cuts by 'carrier'"):
        selection.choose(Candidates(rows.hashes, rows.times), past())


def test_rows_after_a_change_train_and_the_newest_quarter_judges():
    changed = NOW - 10 * DAY
    windows = specification({"since_change": 100}, changed).windows(NOW)
    assert windows.train.start == changed
    assert windows.evaluate.length == timedelta(hours=47), "a quarter of 7 d 23 h, in whole hours"
    long_ago = specification({"since_change": 100}, NOW - 80 * DAY).windows(NOW)
    assert long_ago.evaluate.length == 14 * DAY
    unknown = specification({"since_change": 100}).windows(NOW)
    assert unknown.train.length == 90 * DAY
    weighed = specification({"since_change": 100, "half_life": "3d"}, changed)
    span = weighed.windows(NOW).train
    assert span.length == 90 * DAY
    assert weighed.past_of(span).changed_at == changed


def test_a_season_is_taken_from_earlier_turns_as_far_as_there_are_rows():
    form = {"seasonal": "364d", "width": "14d", "turns": 2}
    selection = SELECTIONS.validate_python(form)
    short = past(window=30 * DAY, first=UNTIL - 370 * DAY)
    stretches = selection.stretches(short)
    assert [(one.start - UNTIL) // DAY for one in stretches] == [-370, -30]
    assert (stretches[0].end - UNTIL) // DAY == -350
    windows = specification(form).windows(NOW, NOW - 800 * DAY)
    assert len(windows.left_out) == 2


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "exactly one of the keys"),
        ({"sliding": "3d", "reservoir": 500}, "exactly one of the keys"),
        ({"nearest": 3}, "exactly one of the keys"),
        ({"stratified": ["carrier"]}, "needs `least`"),
        ({"stratified": ["carrier"], "least": 9, "most": 3}, "must not be below"),
        ({"seasonal": "2d"}, "a season takes a week"),
        ({"seasonal": "30d", "width": "20d"}, "twice its width"),
        ({"expanding": "2013-01-01T00:00:00"}, "timezone"),
    ],
)
def test_what_cannot_be_selected_is_refused(form, message):
    with pytest.raises(ValidationError, match=message):
        DataRule(select=form)


@pytest.mark.parametrize("form", [{"expanding": "all"}, {"reservoir": 500}])
def test_a_source_must_say_where_it_begins(form):
    with pytest.raises(ValidationError, match="name a moment"):
        DataRule(source="s3://rows/*.parquet", select=form)


@given(FORMS)
def test_a_specification_reads_what_it_wrote(form):
    one = specification(form, NOW)
    assert RunSpecification.model_validate(one.to_json()) == one
    text = one.data.model_dump_json(by_alias=True)
    assert DataRule.model_validate_json(text, strict=True) == one.data, "as a policy file is read"
    assert "changed_at" not in specification(form).to_json()


def test_rows_of_a_table_get_their_weights_and_keep_their_own():
    count = 50
    table = pa.table(
        {
            "prediction_id": [str(number) for number in range(count)],
            "time": pa.array(
                [UNTIL - number * DAY for number in range(count)], pa.timestamp("us", tz="UTC")
            ),
            "label": pa.array([None, *np.zeros(count - 1)]),
            "weight": pa.array([2.0, 2.0, None, *np.ones(count - 3)]),
        }
    )
    weigh = SELECTIONS.validate_python({"half_life": "1d"})
    chosen = choose_rows(table, weigh, past(), 7)
    assert chosen.num_rows == count - 1
    assert chosen["weight"][:2].to_pylist() == [1.0, 0.25]
    assert chosen["mlreg:weight"][:3].to_pylist() == [2.0, 1.0, 1.0]
    whole = SELECTIONS.validate_python({"expanding": "all"})
    assert choose_rows(table, whole, past(), 7) is table
