"""Alerts: when they open, when they are over, and what a state machine of them never does."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import ValidationError

from mlreg.controller.domain import alerts
from mlreg.controller.domain.alert_rule import DEFAULTS, KINDS, AlertRule, AlertRules
from mlreg.controller.domain.alerts import Sighting, begin, look
from mlreg.controller.domain.causes import culprit_of, kind_of, rank_culprits, title_of
from mlreg.controller.domain.readings import WindowReading

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number):
    return START + number * DAY


def run(rule, windows, *, alert=None, last=None):
    """Show windows (culprits, or None for one that says nothing) to a cause; return all notices."""
    told = []
    for number, culprits in enumerate(windows):
        sighting = Sighting(day(number), tuple(culprits or ()), judged=culprits is not None)
        alert, notices = show(alert, sighting, rule, day(number + 1), last)
        told += [(number, one.what) for one in notices]
        if alert is not None and not alert.is_live:
            last, alert = alert, None
    return alert, told


def show(alert, sighting, rule, now, last=None):
    alert = alert or begin(sighting, rule, last)
    if alert is None:
        return None, ()
    step = look(alert, sighting, rule, now)
    return step.alert, step.notices


RULE = AlertRule(windows=2, of=3, quiet=2, remind=None)


def test_it_opens_at_k_of_n_and_ends_after_m_quiet_windows():
    alert, told = run(RULE, ["a", "", "a", "", "a", "", ""])
    assert told == [(2, "opened"), (6, "resolved")]
    assert alert is None


def test_one_odd_window_is_forgotten():
    assert run(RULE, ["a", "", "", "a", "", "", ""]) == (None, [])


def test_different_things_by_chance_are_no_alert():
    assert run(RULE, ["a", "b", "c", "d", "e"])[1] == []
    assert run(RULE, ["ab", "bc"])[0].culprits == ("b",)


def test_false_alarms_of_many_features_are_few_alerts():
    """50 features, each falsely unusual in 0.36 % of 720 windows: as measured for verdicts."""
    rng = np.random.default_rng(1)
    opened = noticed = 0
    for _ in range(5):
        odd = rng.random((720, 50)) < 0.0036
        noticed += int(odd.any(axis=1).sum())
        windows = [[str(name) for name in np.flatnonzero(row)] for row in odd]
        opened += [what for _, what in run(RULE, windows)[1]].count("opened")
    assert noticed / 5 > 100
    assert opened / 5 <= 2


def test_a_window_without_a_verdict_is_neither_quiet_nor_unusual():
    alert, told = run(RULE, ["a", None, None, "a", None, None, None, None])
    assert told == [(3, "opened")]
    assert alert.phase == "open"


def test_what_joins_is_folded_in_and_counts_for_the_end():
    alert, told = run(RULE, ["a", "a", "ab", "b", "b", "b"])
    assert told == [(1, "opened"), (3, "grown")]
    assert set(alert.culprits) == {"a", "b"}


def test_others_oddities_do_not_keep_it_open():
    _, told = run(RULE, ["a", "a", "x", "y"])
    assert told == [(1, "opened"), (3, "resolved")]


def test_a_window_looked_at_again_counts_once():
    alert = None
    for _ in range(5):
        alert, notices = show(alert, Sighting(day(0), ("a",)), RULE, day(1))
        assert notices == ()
    assert alert.phase == "pending"


def test_the_past_looked_at_again_opens_nothing():
    again = Sighting(day(0), ("a",), again=True)
    assert show(None, again, RULE, day(9)) == (None, ())
    alert, _ = run(RULE, ["", "a"])
    assert show(alert, Sighting(day(-5), ("a",), again=True), RULE, day(9)) == (alert, ())


def test_windows_of_the_last_alert_do_not_count_again():
    alert, _ = run(RULE, ["a", "a", "a"])
    closed = alerts.close(alert, "seen", day(3)).alert
    assert show(None, Sighting(day(2), ("a",)), RULE, day(4), closed) == (None, ())
    fresh, _ = show(None, Sighting(day(3), ("a",)), RULE, day(4), closed)
    late, notices = show(fresh, Sighting(day(1), ("a",)), RULE, day(4))
    assert (late, notices) == (fresh, ())


def test_it_becomes_louder_once_when_it_lasts():
    rule = AlertRule(windows=1, of=1, severity="info", escalate=3, remind=None)
    alert, told = run(rule, ["a"] * 9)
    assert told == [(0, "opened"), (2, "escalated")]
    assert alert.severity == "warning"


def test_it_becomes_as_loud_as_its_cause():
    alert, _ = run(RULE, ["a", "a"])
    louder = RULE.model_copy(update={"severity": "critical"})
    step = look(alert, Sighting(day(2), ("a",)), louder, day(3))
    assert [one.what for one in step.notices] == ["escalated"]
    assert step.alert.severity == "critical"


def test_an_outage_that_explains_it_ends_it_and_says_so():
    alert, _ = run(RULE, ["ab", "ab"])
    step = look(alert, Sighting(day(2), ("c",), ("a", "b"), "outage 4"), RULE, day(3))
    assert [(one.what, one.line) for one in step.notices] == [("resolved", "explained by outage 4")]


def test_a_window_that_is_taken_back_ends_what_it_made():
    alert, _ = run(RULE, ["a", "a"])
    taken = Sighting(day(1), judged=False, because="outage 4", again=True)
    step = look(alert, taken, RULE, day(3))
    assert [one.line for one in step.notices] == ["explained by outage 4"]
    pending, _ = run(RULE, ["a"])
    assert look(pending, Sighting(day(0), judged=False, again=True), RULE, day(3)).alert is None


def test_a_snooze_outlives_its_alert():
    alert, _ = run(RULE, ["a", "a"])
    alert = alerts.snooze(alert, day(30)).alert
    ended = look(alert, Sighting(day(2)), RULE, day(3)).alert
    step = look(ended, Sighting(day(3)), RULE, day(4))
    assert [(one.what, one.quiet) for one in step.notices] == [("resolved", True)]
    again, notices = show(None, Sighting(day(4), ("a",)), RULE, day(5), step.alert)
    again, notices = show(again, Sighting(day(5), ("a",)), RULE, day(6))
    assert [(one.what, one.quiet) for one in notices] == [("opened", True)]
    assert alerts.remind(again, RULE, day(29)).notices == ()
    assert [one.what for one in alerts.remind(again, RULE, day(30)).notices] == ["reminded"]


WINDOW = st.frozensets(st.sampled_from("abc"), max_size=3)


class Life(RuleBasedStateMachine):
    """Windows come, come again, are taken back; people snooze and close; time passes."""

    def __init__(self):
        super().__init__()
        self.rule = RULE.model_copy(update={"remind": 3 * DAY})
        self.number, self.alert, self.last = 0, None, None
        self.bad_since_end, self.barrier, self.opened = set(), None, 0
        self.now = START

    def take(self, step):
        records = list(step.notices)
        if step.alert is not None and self.alert is not None and step.alert != self.alert:
            louder = step.alert.severity != self.alert.severity
            assert (
                not louder
                or "escalated" in [one.what for one in records]
                or (self.alert.phase == "pending")
            )
        before = self.alert.phase if self.alert else None
        after = step.alert.phase if step.alert else None
        for one in records:
            if not one.quiet:
                assert not self.snoozed, "somebody was told of what is snoozed"
            if one.what == "opened":
                assert before == "pending"
                assert len(self.bad_since_end) >= self.rule.windows, "it flaps"
                self.opened += 1
        if before == "open" and after != "open":
            assert {"resolved", "closed"} & {one.what for one in records}, "it ended unsaid"
        if after == "open" and before != "open":
            assert "opened" in [one.what for one in records], "it opened unsaid"
        self.alert = step.alert
        if step.alert is not None and not step.alert.is_live:
            self.last, self.alert, self.bad_since_end = step.alert, None, set()
            self.barrier = step.alert.seen[-1].start if step.alert.seen else None
            self.opened -= 1

    @property
    def snoozed(self):
        return self.alert is not None and self.alert.is_snoozed(self.now)

    @rule(culprits=WINDOW, explained=WINDOW, judged=st.booleans())
    def a_window_closes(self, culprits, explained, judged):
        self.number += 1
        self.now = day(self.number + 1)
        self.show(day(self.number), culprits, explained, judged=judged, again=False)

    @rule(back=st.integers(0, 4), culprits=WINDOW, judged=st.booleans(), again=st.booleans())
    def a_window_comes_again(self, back, culprits, judged, again):
        self.show(day(self.number - back), culprits, (), judged=judged, again=again)

    def show(self, start, culprits, explained, *, judged, again):
        sighting = Sighting(
            start,
            tuple(sorted(culprits)) if judged else (),
            tuple(sorted(explained)),
            "outage 1",
            judged,
            again,
        )
        alert = self.alert or begin(sighting, self.rule, self.last)
        if sighting.culprits and (self.barrier is None or start > self.barrier):
            self.bad_since_end.add(start)
        if alert is not None:
            self.alert = alert
            self.take(look(alert, sighting, self.rule, self.now))

    @rule(days=st.integers(0, 5))
    def time_passes(self, days):
        self.now += days * DAY
        if self.alert is not None:
            self.take(alerts.remind(self.alert, self.rule, self.now))

    @precondition(lambda self: self.alert is not None and self.alert.phase == "open")
    @rule(days=st.integers(1, 9))
    def somebody_snoozes(self, days):
        self.take(alerts.snooze(self.alert, self.now + days * DAY))

    @precondition(lambda self: self.snoozed)
    @rule()
    def somebody_ends_the_snooze(self):
        self.take(alerts.unsnooze(self.alert, self.rule, self.now))

    @precondition(lambda self: self.alert is not None and self.alert.phase == "open")
    @rule()
    def somebody_closes_it(self):
        self.take(alerts.close(self.alert, "done", self.now))

    @invariant()
    def at_most_one_is_open(self):
        assert self.opened in {0, 1}

    @invariant()
    def what_is_written_down_can_be_read(self):
        if self.alert is not None:
            read = alerts.remembered(self.alert.memory())
            assert read["seen"] == self.alert.seen


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestLife = Life.TestCase


@pytest.mark.parametrize(
    ("monitor", "subject", "kind", "culprit"),
    [
        ("psi", "temp", "drift", "temp"),
        ("domain_auc", "", "drift", "domain_auc"),
        ("score_psi", "score", "score", "score_psi of score"),
        ("null_share", "temp", "quality", "temp"),
        ("rows", "", "volume", "rows"),
        ("label_psi", "", "labels", "label_psi"),
        ("labelled_share", "", "volume", "labelled_share"),
        ("concept_adwin", "", "concept", "concept_adwin"),
        ("concept_loss", "", "performance", "concept_loss"),
        ("skill_auc", "", "performance", "skill_auc"),
        ("auc", "origin=JFK", "performance", "auc of origin=JFK"),
        ("estimated_auc", "", "estimate", "estimated_auc"),
        ("business:revenue", "", "business", "revenue"),
        ("invariant:positive", "", "invariant", "positive"),
        ("parity", "", "parity", "parity"),
    ],
)
def test_a_reading_belongs_to_one_kind_of_cause(monitor, subject, kind, culprit):
    reading = WindowReading(monitor, subject, START, day(1), 1.0, 10)
    assert (kind_of(monitor), culprit_of(reading)) == (kind, culprit)
    assert title_of(kind, [culprit])


def test_culprits_come_by_their_effect():
    def reading(monitor, subject, value):
        return WindowReading(monitor, subject, START, day(1), value, 10)

    found = [reading("psi", "b", 0.3), reading("ks", "c", 0.9), reading("psi", "a", 0.7)]
    assert rank_culprits([*found, reading("ks", "b", 0.8)]) == ["a", "b", "c"]
    assert title_of("drift", list("abcde")) == "drift of a, b, c and 2 more"


def test_a_policy_changes_one_key_of_a_rule_and_keeps_the_rest():
    rules = AlertRules.model_validate_json('{"outage": {"remind": "1h"}, "drift": false}')
    assert rules.outage.severity == "critical"
    assert rules.of_kind("drift") is None
    assert rules.of_kind("score") == DEFAULTS["score"]
    assert AlertRules.model_validate_json(rules.model_dump_json()) == rules
    assert {kind for kind in KINDS if AlertRules().of_kind(kind)} == set(KINDS)
    for wrong in (
        '{"drift": {"windows": 4}}',
        '{"drift": true}',
        '{"drift": {"k": 1}}',
        '{"x": 1}',
    ):
        with pytest.raises(ValidationError):
            AlertRules.model_validate_json(wrong)
