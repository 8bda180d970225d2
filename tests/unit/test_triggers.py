"""Triggers on readings: each holds only on enough final ones."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.triggers import View
from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.controller.triggers.kinds import trigger_kinds
from mlreg.controller.triggers.labelled_rows import LabelledRowsTrigger
from mlreg.controller.triggers.performance import PerformanceTrigger
from mlreg.controller.triggers.schedule import ScheduleTrigger

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number, monitor, value, *, subject="", rows=1_000, state="final", verdict=None):
    start, end = START + number * DAY, START + (number + 1) * DAY
    return WindowReading(monitor, subject, start, end, value, rows, state, verdict=verdict)


def view(*readings, number=30, **changes):
    found = {}
    for one in readings:
        found.setdefault(one.monitor, []).append(one)
    now = START + number * DAY
    fields = {"now": now, "previous": now - DAY, "promoted_at": START, **changes}
    return View(readings={name: tuple(ones) for name, ones in found.items()}, **fields)


def drift(*values, subject="temp", first=0, **changes):
    return [
        day(first + number, "psi", value, subject=subject, **changes)
        for number, value in enumerate(values)
    ]


class TestDrift:
    trigger = DriftTrigger(drift="psi", above=0.2, windows=2)

    def holds(self, *readings, trigger=None):
        return (trigger or self.trigger).judge(view(*readings)).holds

    def test_two_windows_on_end(self):
        assert self.holds(*drift(0.1, 0.3, 0.3))
        assert not self.holds(*drift(0.3, 0.3, 0.1))
        assert not self.holds(*drift(0.3, 0.1, 0.3))
        assert not self.holds(*drift(0.3))

    def test_another_feature_each_day_is_no_streak(self):
        first, second = drift(0.3, 0.1), drift(0.1, 0.3, subject="wind")
        assert not self.holds(*first, *second)

    def test_windows_of_an_outage_are_passed_over(self):
        outage = day(1, "psi", None, state="outage")
        assert self.holds(*drift(0.3), outage, *drift(0.3, first=2))

    @pytest.mark.parametrize("state", ["outage", "empty", "immature"])
    def test_while_the_newest_window_says_nothing_it_holds_back(self, state):
        newest = day(2, "psi", None, state=state, rows=0)
        assert not self.holds(*drift(0.3, 0.3), newest)

    def test_few_rows_say_nothing(self):
        assert not self.holds(*drift(0.9, 0.9, rows=199))

    def test_no_rows_at_all(self):
        assert not self.holds()
        assert not self.holds(*drift(0.9, 0.9, rows=0))

    def test_all_and_listed_features(self):
        readings = [*drift(0.3, 0.3), *drift(0.1, 0.1, subject="wind")]
        everything = DriftTrigger(drift="psi", above=0.2, features="all")
        assert not self.holds(*readings, trigger=everything)
        assert self.holds(*drift(0.3), *drift(0.3, subject="wind"), trigger=everything)
        listed = DriftTrigger(drift="psi", above=0.2, features=("wind",))
        assert not self.holds(*readings, trigger=listed)

    def test_unusual_for_the_stream(self):
        unusual = DriftTrigger(drift="psi", unusual=True, windows=2)
        assert self.holds(*drift(0.1, 0.1, verdict="unusual"), trigger=unusual)
        assert not self.holds(*drift(9.0, 9.0, verdict="normal"), trigger=unusual)
        assert not self.holds(*drift(9.0, 9.0), trigger=unusual)  # nobody could judge
        both = DriftTrigger(drift="psi", unusual=True, above=0.2)
        assert self.holds(*drift(0.3, verdict="unusual"), trigger=both)
        assert not self.holds(*drift(0.1, verdict="unusual"), trigger=both)
        finding = both.judge(view(*drift(0.3, verdict="unusual")))
        assert finding.because == "psi stood above 0.2 and unusual for 1 window: temp 0.3"

    def test_all_features_together(self):
        joint = DriftTrigger(drift="domain_auc", above=0.7)
        finding = joint.judge(view(day(0, "domain_auc", 0.8, subject="")))
        assert finding.holds
        assert "all features 0.8" in finding.because
        with pytest.raises(ValueError, match="takes no list"):
            DriftTrigger(drift="domain_auc", above=0.7, features=("temp",))
        with pytest.raises(ValueError, match="needs `above: NUMBER`"):
            DriftTrigger(drift="psi")

    def test_the_finding_bears_its_readings(self):
        finding = self.trigger.judge(view(*drift(0.3, 0.4)))
        assert [one["value"] for one in finding.evidence] == [0.3, 0.4]


class TestLabelledRows:
    trigger = LabelledRowsTrigger(labelled_rows=2_000)

    def test_counts_windows_after_the_watermark(self):
        readings = [day(number, "labelled", 900.0) for number in range(3)]
        assert self.trigger.judge(view(*readings)).holds
        assert not self.trigger.judge(view(*readings, watermark=START + DAY)).holds

    def test_only_final_windows_count(self):
        readings = [day(0, "labelled", 1_999.0), day(1, "labelled", None, state="outage")]
        assert not self.trigger.judge(view(*readings)).holds

    def test_nothing(self):
        assert not self.trigger.judge(view()).holds


class TestPerformance:
    trigger = PerformanceTrigger(performance="auc", drop=0.02, min_rows=1_500)

    def skill(self, *values, first=0, **changes):
        return [
            day(first + number, "skill_auc", value, **changes)
            for number, value in enumerate(values)
        ]

    def holds(self, *readings, **changes):
        return self.trigger.judge(view(*readings, **changes)).holds

    def test_a_drop_since_the_promotion(self):
        assert self.holds(*self.skill(0.25, 0.25, 0.25, 0.22, 0.22))
        assert not self.holds(*self.skill(0.25, 0.25, 0.25, 0.24, 0.24))
        assert not self.holds(*self.skill(0.22, 0.22, 0.25, 0.25))

    def test_the_two_sides_never_share_a_window(self):
        assert not self.holds(*self.skill(0.25, 0.20, 0.10))

    def test_windows_before_the_promotion_do_not_count(self):
        readings = self.skill(0.30, 0.30, 0.22, 0.22, 0.22, 0.22)
        assert self.holds(*readings)
        assert not self.holds(*readings, promoted_at=START + 2 * DAY)

    def test_outages_and_immature_windows_are_left_out(self):
        down = self.skill(None, None, first=2, state="outage")
        assert not self.holds(*self.skill(0.25, 0.25), *down)

    def test_without_a_champion(self):
        assert not self.holds(*self.skill(0.3, 0.3, 0.1, 0.1), promoted_at=None)

    def test_nothing(self):
        assert not self.holds()


class TestSchedule:
    trigger = ScheduleTrigger(schedule="0 3 * * *", timezone="Europe/Berlin")

    def test_holds_once_at_each_due_time(self):
        before, due = START.replace(hour=0), START.replace(hour=1)
        assert not self.trigger.judge(View(before, before - timedelta(hours=1))).holds
        assert self.trigger.judge(View(due, before)).holds
        assert not self.trigger.judge(View(due + timedelta(hours=1), due)).holds

    def test_missed_times_are_one_finding(self):
        finding = self.trigger.judge(View(START + 5 * DAY, START))
        assert finding.holds
        assert finding.evidence[0]["missed"] == 4
        assert finding.because.startswith("due at 2013-07-0")
        assert " UTC; 4 missed before it" in finding.because


@given(
    st.lists(
        st.builds(
            day,
            st.integers(0, 20),
            st.sampled_from(["psi", "labelled", "skill_auc"]),
            st.none(),
            rows=st.integers(0, 10_000),
            state=st.sampled_from(["outage", "empty", "immature"]),
        )
    )
)
def test_readings_without_a_value_never_make_a_trigger_hold(readings):
    for trigger in (
        DriftTrigger(drift="psi", above=1e-9, min_rows=1),
        LabelledRowsTrigger(labelled_rows=1),
        PerformanceTrigger(performance="auc", drop=1e-9, min_rows=1),
    ):
        assert not trigger.judge(view(*readings)).holds


def test_every_kind_names_its_first_field():
    for kind, trigger in trigger_kinds().items():
        assert next(iter(trigger.model_fields)) == kind
