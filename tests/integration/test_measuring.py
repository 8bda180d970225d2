"""Windows measured with their labels: young, mature, again; intervals, slices, estimates."""

import numpy as np
import pyarrow as pa
import pytest

from mlreg.controller.services.draining import drain_model
from mlreg.controller.store.readings import list_readings
from tests.automation_makers import DAY, HOUR, POLICY, START, Automation, labels_of, rows_of

SLOW = POLICY.replace("label_delay: 1d", "label_delay: 3d")
SLICED = POLICY + "monitors: {slices: [carrier, nothing], min_rows: 50}\n"


def readings_of(automation, *monitors, subject=None):
    with automation.database.reading() as session:
        found = list_readings(
            session,
            model_id=automation.model.id,
            environment="production",
            monitors=monitors,
            subject=subject,
        )
        return {(one.monitor, one.subject, one.start): one for one in found}


def one_of(automation, monitor, start, subject=""):
    return readings_of(automation, monitor)[monitor, subject, start]


def log_day(automation, day, *, delays=None, at=None, **options):
    """Log a day, its negatives' labels a given time later than its positives'."""
    table, values = rows_of(day, **options)
    automation.accept("predictions", f"p{day:%Y%m%d}", table, at or day + 23 * HOUR)
    if delays is None:
        labelled = [("l", labels_of(table, values))]
    else:
        labelled = []
        for label, delay in enumerate(delays):
            mine = values == label
            part = table.filter(pa.array(mine))
            labelled.append((f"l{label}", labels_of(part, values[mine], delay=delay)))
    for name, part in labelled:
        by_day = {}
        for row, time in enumerate(part["time"].to_pylist()):
            by_day.setdefault(time.replace(hour=0, minute=0, second=0, microsecond=0), []).append(
                row
            )
        for came, rows in by_day.items():
            batch = f"{name}{day:%Y%m%d}-{came:%Y%m%d}"
            automation.accept("labels", batch, part.take(rows), came + 23 * HOUR)
    return table, values


@pytest.fixture
def automation(database, store):
    return Automation(database, store)


def test_a_mature_reading_has_an_interval(automation):
    log_day(automation, START)
    automation.pass_to(START + 3 * DAY)
    found = one_of(automation, "auc", START)
    assert (found.state, found.rows) == ("final", 480)
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2
    skill = one_of(automation, "skill_log_loss", START)
    assert skill.low < skill.value < skill.high
    for monitor in ("brier", "accuracy", "f1", "precision", "recall", "calibration_error", "bias"):
        assert one_of(automation, monitor, START).value is not None


def test_a_mature_reading_of_few_hours_says_why_it_has_no_interval(automation):
    table, values = rows_of(START)
    short = pa.array(np.arange(480) < 6)  # of the first minutes
    automation.accept("predictions", "p", table.filter(short), START + DAY)
    part = labels_of(table, values).filter(short)
    automation.accept("labels", "l", part, START + DAY)
    automation.pass_to(START + 3 * DAY)
    found = one_of(automation, "log_loss", START)
    assert (found.value is not None, found.low, found.high) == (True, None, None)
    assert "12 blocks" in found.evidence["no_interval"]


def test_a_window_is_looked_at_before_it_is_mature_and_corrected_for_the_delay(database, store):
    """Negatives are labelled two days later: naively a young window has hardly any."""
    automation = Automation(database, store, policy=SLOW)
    delays = (2 * DAY, HOUR)
    for number in range(7):
        log_day(automation, START + number * DAY, delays=delays, rows=1_440)
        automation.pass_to(START + (number + 1) * DAY)
    automation.pass_to(START + 8 * DAY)
    day = START + 5 * DAY  # it ended two days ago, one day short of maturity
    young = one_of(automation, "bias", day)
    assert young.state == "immature"
    assert 0.5 < young.evidence["maturity"] <= 1.0
    early = one_of(automation, "labelled_share", START + 6 * DAY)
    assert early.state == "immature"
    assert early.value == pytest.approx(early.evidence["expected"], abs=0.05)
    newest = one_of(automation, "bias", START + 6 * DAY)
    assert newest.value is None
    assert "class 0 come too late" in newest.evidence["not_corrected"]
    automation.pass_to(START + 10 * DAY)
    mature = one_of(automation, "bias", day)
    assert mature.state == "final"
    assert young.value == pytest.approx(mature.value, abs=0.04)


def test_a_window_is_looked_at_while_the_mature_one_before_it_is_not_measured_yet(automation):
    for number in range(5):
        log_day(automation, START + number * DAY)
        if number < 3:
            automation.pass_to(START + (number + 1) * DAY)
            continue
        automation.clock_now = START + (number + 1) * DAY
        drain_model(
            automation.database, automation.store, automation.model.id, now=automation.clock_now
        )
        automation.tick()  # no worker takes what it asks for
    automation.work()
    assert one_of(automation, "labelled_share", START + 2 * DAY).state == "final"
    early = one_of(automation, "labelled_share", START + 4 * DAY)
    assert (early.state, early.value is None) == ("immature", False)


def test_young_readings_never_count(database, store):
    trigger = "  - {performance: auc, drop: 0.1, min_rows: 1}\n  - {labelled_rows: 1000000}"
    policy = SLOW.replace('  - {schedule: "0 3 * * *"}', trigger)
    automation = Automation(database, store, policy=policy)
    for number in range(5):
        log_day(automation, START + number * DAY, quality=1.0 if number < 2 else 0.0)
        assert automation.pass_to(START + (number + 1) * DAY) == []
    states = dict(automation.states("skill_auc"))
    assert "immature" in states.values()


def test_the_window_that_labels_came_late_for_is_measured_again(automation):
    table, values = rows_of(START)
    automation.accept("predictions", "p", table, START + 23 * HOUR)
    early = labels_of(table.slice(0, 200), values[:200])
    automation.accept("labels", "early", early, START + 23 * HOUR)
    for number in range(1, 4):
        log_day(automation, START + number * DAY)
        automation.pass_to(START + (number + 1) * DAY)
    before = one_of(automation, "log_loss", START)
    assert (before.rows, before.evidence) == (200, before.evidence)
    assert one_of(automation, "labelled", START).value == 200.0
    untouched = one_of(automation, "log_loss", START + DAY)
    late = labels_of(table.slice(200), values[200:], delay=3 * DAY)
    automation.accept("labels", "late", late, START + 4 * DAY + HOUR)
    automation.pass_to(START + 5 * DAY)
    after = one_of(automation, "log_loss", START)
    assert one_of(automation, "labelled", START).value == 480.0
    assert after.rows == 480
    (said,) = after.evidence["history"]
    assert (said["value"], said["rows"], said["state"]) == (before.value, 200, "final")
    assert one_of(automation, "log_loss", START + DAY).created_at == untouched.created_at


def test_a_corrected_label_is_measured_again_and_the_old_value_stays_on_record(automation):
    table, values = log_day(automation, START)
    log_day(automation, START + DAY)
    automation.pass_to(START + 3 * DAY)
    before = one_of(automation, "accuracy", START).value
    wrong = labels_of(table, 1 - values, delay=2 * DAY + 12 * HOUR)
    automation.accept("labels", "corrected", wrong, START + 3 * DAY + HOUR)
    automation.pass_to(START + 4 * DAY)
    found = one_of(automation, "accuracy", START)
    assert found.value == pytest.approx(1 - before, abs=0.02)
    assert [one["value"] for one in found.evidence["history"]] == [before]


def test_labels_of_unknown_predictions_measure_nothing_again(automation):
    log_day(automation, START)
    automation.pass_to(START + 2 * DAY)
    stranger = labels_of(rows_of(START - 9 * DAY)[0].slice(0, 5), np.ones(5), delay=11 * DAY)
    automation.accept("labels", "strangers", stranger, START + 2 * DAY + HOUR)
    automation.pass_to(START + 4 * DAY)
    assert not (one_of(automation, "auc", START).evidence or {}).get("history")


def test_slices_are_measured_on_their_own(database, store):
    automation = Automation(database, store, policy=SLICED)
    log_day(automation, START)
    automation.pass_to(START + 3 * DAY)
    found = readings_of(automation, "auc")
    subjects = {subject for _, subject, start in found if start == START}
    assert subjects == {"", "carrier=AA", "carrier=UA"}
    one = found["auc", "carrier=AA", START]
    assert 150 < one.rows < 350
    assert one.low < one.value < one.high
    assert not any(subject for _, subject, _ in readings_of(automation, "skill_auc"))


def test_performance_is_estimated_as_a_window_closes(automation):
    for number in range(9):
        log_day(automation, START + number * DAY)
        automation.pass_to(START + (number + 1) * DAY)
    newest = START + 8 * DAY
    assert one_of(automation, "auc", newest).state == "immature"
    found = one_of(automation, "estimated_auc", newest)
    assert found.state == "estimate"
    assert found.low < found.value < found.high
    assert found.evidence["calibrated_on"] == "version 1"
    automation.pass_to(START + 11 * DAY)
    assert found.low - 0.02 <= one_of(automation, "auc", newest).value <= found.high + 0.02
    still = one_of(automation, "estimated_auc", newest)
    assert still.value == found.value  # as it was said then


def test_an_estimate_does_not_see_that_labels_turned(automation):
    """Concept drift with the same scores: the truth falls, the estimate stays."""
    for number in range(8):
        log_day(automation, START + number * DAY)
        automation.pass_to(START + (number + 1) * DAY)
    day = START + 8 * DAY
    table, values = rows_of(day)
    automation.accept("predictions", "p", table, day + 23 * HOUR)
    automation.accept("labels", "l", labels_of(table, 1 - values), day + 23 * HOUR)
    automation.pass_to(START + 11 * DAY)
    assert one_of(automation, "auc", day).value < 0.3
    assert one_of(automation, "estimated_auc", day).low > 0.6


def test_no_rows_are_empty_and_an_outage_is_one(automation):
    automation.log(START + DAY, broken=range(24))
    for number in range(1, 5):
        automation.pass_to(START + number * DAY)
    assert one_of(automation, "auc", START).state == "empty"
    assert one_of(automation, "accuracy", START + DAY).state == "outage"
    assert not readings_of(automation, "estimated_auc")


def test_a_look_that_comes_too_late_overwrites_nothing(automation):
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services import measuring
    from mlreg.controller.services.policies import policy_in_force

    for number in range(2):
        log_day(automation, START + number * DAY)
    automation.pass_to(START + 4 * DAY)
    before = one_of(automation, "auc", START)
    window = Interval(START, START + DAY)
    late = measuring.Look(window, START + DAY, START + 2 * DAY)
    with automation.database.writing() as session:
        in_force = policy_in_force(session, automation.model.id, "production")
        assert measuring.enqueue_looks(session, in_force, [late])
    assert automation.work() == ["measure"]
    after = one_of(automation, "auc", START)
    assert (after.state, after.value, after.created_at) == (
        "final",
        before.value,
        before.created_at,
    )


def test_measuring_twice_gives_the_same_readings(automation):
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services import measuring
    from mlreg.controller.services.policies import policy_in_force

    log_day(automation, START)
    automation.pass_to(START + 3 * DAY)
    before = readings_of(automation)
    with automation.database.writing() as session:
        in_force = policy_in_force(session, automation.model.id, "production")
        measuring.enqueue_measure(session, in_force, Interval(START, START + DAY))
    assert automation.work() == ["measure"]
    for key, one in readings_of(automation).items():
        was = before[key]
        assert (one.value, one.low, one.high, one.state) == (
            was.value,
            was.low,
            was.high,
            was.state,
        )
