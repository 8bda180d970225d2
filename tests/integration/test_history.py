"""Past windows of a stream, and the reference of its scores."""

from mlreg.controller.domain.season import past_starts
from mlreg.controller.domain.windows import DAY, HOUR, Interval
from mlreg.controller.services import history
from mlreg.controller.services.history import Sought, load_histories, score_reference
from mlreg.controller.services.profiles import find_bins, find_reference
from mlreg.controller.store.readings import outage_intervals
from mlreg.controller.store.tables import Outage
from mlreg.registry.domain.contracts import FeatureContract
from tests.automation_makers import START, Automation
from tests.feedback_makers import FEATURES


def logged(database, store, days):
    automation = Automation(database, store, policy=None)
    for number in range(days):
        automation.log(START + number * DAY)
    automation.clock_now = START + days * DAY
    from mlreg.controller.services.draining import drain_model

    drain_model(database, store, automation.model.id, now=automation.clock_now)
    return automation, (automation.model.id, FeatureContract.from_json(FEATURES).digest)


def load_history(session, log, window):
    bins = find_bins(session, FeatureContract.from_json(FEATURES).digest)
    first = past_starts(window.start, window.length)[0]
    down = outage_intervals(session, log[0], Interval(first, window.start))
    (found,) = load_histories(session, [Sought(log, bins, window, down)])
    return found


def test_days_hours_and_longer_windows_before(database, store):
    automation, log = logged(database, store, 8)
    end = START + 8 * DAY
    with automation.database.reading() as session:
        days = load_history(session, log, Interval(end, end + DAY))
        hours = load_history(session, log, Interval(end + 5 * HOUR, end + 6 * HOUR))
        parts = load_history(session, log, Interval(end, end + 6 * HOUR))
        pairs = load_history(session, log, Interval(end, end + 2 * DAY))
        none = load_history(session, (log[0], "sha256:none"), Interval(end, end + DAY))
    assert days.starts == tuple(START + number * DAY for number in range(8))
    assert days.stack.rows.tolist() == [480] * 8
    assert {start.hour for start in hours.starts} == {5}
    assert hours.stack.rows.tolist() == [20] * 8
    assert parts.stack.rows.tolist() == [120] * 8
    assert pairs.stack.rows.tolist() == [960] * 4
    assert none.starts == ()


def test_windows_that_an_outage_touched_are_no_past(database, store):
    automation, log = logged(database, store, 4)
    with automation.database.writing() as session:
        session.add(
            Outage(
                model_id=log[0],
                start=START + DAY + 20 * HOUR,
                end=START + 2 * DAY + HOUR,
                features=["temp"],
                share=1.0,
            )
        )
    end = START + 4 * DAY
    with automation.database.reading() as session:
        days = load_history(session, log, Interval(end, end + DAY))
        hours = load_history(session, log, Interval(end + 5 * HOUR, end + 6 * HOUR))
    assert days.starts == (START, START + 3 * DAY)
    assert len(hours.starts) == 4


def test_scores_are_compared_with_those_before_the_promotion(database, store):
    automation, log = logged(database, store, 5)
    with automation.database.reading() as session:
        stored = find_reference(session, log[0], 1)
        kept = score_reference(session, log, stored, START + 5 * DAY)
        assert kept is stored  # it has scores of its own
        bare = stored.with_scores(_without_scores(stored))
        assert bare.column("score").known == 0
        found = score_reference(session, log, bare, START + 3 * DAY + HOUR)
        early = score_reference(session, log, bare, START - 30 * DAY)
    assert found.column("score").known == 3 * 480  # whole days before the promotion
    assert found.column("temp").known == stored.column("temp").known
    assert early is bare
    with automation.database.reading() as session:
        assert score_reference(session, log, None, START) is None


def test_scores_of_a_first_champion_are_compared_with_its_first_days(database, store, monkeypatch):
    automation, log = logged(database, store, 3)
    with automation.database.reading() as session:
        stored = find_reference(session, log[0], 1)
        bare = stored.with_scores(_without_scores(stored))
        assert score_reference(session, log, bare, START - 12 * HOUR) is bare  # not over yet
        monkeypatch.setattr(history, "FIRST_DAYS", 2)
        found = score_reference(session, log, bare, START - 12 * HOUR)
    assert found.column("score").known == 2 * 480


def _without_scores(profile):
    from mlreg.controller.domain.profile import empty_profile

    return empty_profile(profile.bins)
