"""Days and weeks are the merge of their hours, whatever came when."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text

from mlreg.controller.domain.profile import merge_all
from mlreg.controller.domain.windows import DAY, HOUR, WEEK, Interval, window_of
from mlreg.controller.feedback.columns import HourProfile, profile_hours, profile_table
from mlreg.controller.services.draining import drain_model
from mlreg.controller.services.profiles import add_hours, ensure_bins, window_profiles
from mlreg.controller.services.rollups import load_stack, roll_up_anew
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.store.tables import Contract, Model, Version
from tests.feedback_makers import FEATURES, NOW, START, make_model, predictions
from tests.makers import make_version

ALL = Interval(START - 30 * DAY, START + 60 * DAY)
LENGTHS = {"day": DAY, "week": WEEK}


@pytest.fixture
def model(database):
    return make_model(database)


@pytest.fixture
def log(database, model):
    """Return (model's id, contract) with bins."""
    contract = FeatureContract.from_json(FEATURES)
    with database.writing() as session:
        ensure_bins(session, contract, predictions(0, 500), now=NOW)
        stored = session.get(Model, model.id)
        session.add(Contract(digest=contract.digest, kind="feature", body=contract.to_document()))
        make_version(session, stored, 1)
        make_version(session, stored, 2)
        session.get(Version, (model.id, 1)).feature_contract = contract.digest
    return model.id, contract.digest


def bins_of(database, log):
    from mlreg.controller.services.profiles import find_bins

    with database.reading() as session:
        return find_bins(session, log[1])


def assert_rolled(database, log):
    """Compare every day and week with the merge of its hours; return the days."""
    bins = bins_of(database, log)
    with database.reading() as session:
        hours = window_profiles(session, *log, ALL.start, ALL.end)
        stacks = {width: load_stack(session, log, bins, width, ALL) for width in LENGTHS}
    for width, found in stacks.items():
        expected = {}
        for hour in hours:
            place = window_of(hour.start, LENGTHS[width]).start, hour.version
            expected.setdefault(place, []).append(hour.profile)
        assert list(zip(found.starts, found.versions, strict=True)) == sorted(expected)
        for number, place in enumerate(sorted(expected)):
            whole, rolled = merge_all(expected[place]), found.stack.profile(number)
            assert rolled.rows == whole.rows
            for part in ("counts", "tallies", "extremes"):
                assert np.array_equal(getattr(rolled, part), getattr(whole, part))
            np.testing.assert_allclose(rolled.sums, whole.sums, rtol=1e-9, atol=1e-9)
    return stacks["day"]


def test_batches_in_any_order_make_the_same_days_and_weeks(database, store, model, log):
    rng = np.random.default_rng(3)
    rows = predictions(0, 1_200, step=timedelta(minutes=23))
    rows = rows.append_column("version", pa.array(rng.integers(1, 3, rows.num_rows), pa.int32()))
    shuffled = rows.take(rng.permutation(rows.num_rows))
    model.last_version = 2
    from tests.integration.test_feedback_log import log as send

    for number, start in enumerate(range(0, 1_200, 150)):
        part = shuffled.slice(start, 150)
        send(database, model, "predictions", f"b{number}", part)
        send(database, model, "predictions", f"b{number}", part)  # again: counted once
        if number % 3 == 0:
            drain_model(database, store, model.id, now=NOW)
    drain_model(database, store, model.id, now=NOW)
    days = assert_rolled(database, log)
    assert days.stack.rows.sum() == 1_200
    assert set(days.versions) == {1, 2}
    whole = profile_table(rows, bins_of(database, log))
    assert np.array_equal(days.stack.merged().counts, whole.counts)
    by_day = days.by_start()
    assert len(by_day.starts) == len(set(days.starts))
    assert by_day.stack.rows.sum() == 1_200


def test_hours_older_than_roll_ups_are_counted_in_them(database, log):
    """As after an upgrade: hours are stored, their days and weeks are not."""
    bins = bins_of(database, log)
    rows = predictions(0, 600).append_column("version", pa.array([1] * 600, pa.int32()))
    hours = profile_hours(rows, bins)
    with database.writing() as session:
        add_hours(session, *log, hours)
        session.execute(text("DELETE FROM rolled_profile WHERE start > '2013-06-02'"))
    assert_rolled(database, log)
    late = HourProfile(hours[-1].start, 1, hours[0].profile)
    with database.writing() as session:
        add_hours(session, *log, [late])
    assert assert_rolled(database, log).stack.rows.sum() == 606


def test_rolling_up_anew_follows_hours_that_were_written_over(database, log):
    bins = bins_of(database, log)
    rows = predictions(0, 300).append_column("version", pa.array([1] * 300, pa.int32()))
    with database.writing() as session:
        add_hours(session, *log, profile_hours(rows, bins))
        session.execute(
            text(
                "UPDATE window_profile SET body = (SELECT body FROM window_profile"
                " ORDER BY start LIMIT 1) WHERE start > '2013-06-02'"
            )
        )
        roll_up_anew(session, log, bins, [START + number * HOUR for number in range(50)])
    assert_rolled(database, log)


def test_a_part_of_the_log_is_asked_for_by_starts(database, log):
    bins = bins_of(database, log)
    rows = predictions(0, 720).append_column("version", pa.array([1] * 720, pa.int32()))
    with database.writing() as session:
        add_hours(session, *log, profile_hours(rows, bins))
        session.execute(text("DELETE FROM rolled_profile"))
        for within, days in [
            (Interval(START, START + 2 * DAY), 2),
            (Interval(START + HOUR, START + 2 * DAY), 1),
            (Interval(START + DAY, START + DAY + HOUR), 1),
        ]:
            assert len(load_stack(session, log, bins, "day", within).starts) == days
