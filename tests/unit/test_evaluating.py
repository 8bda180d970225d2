"""Judging a moment: the same readings make the same firings, an excursion makes one run."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.evaluating import (
    due_moment,
    judge_moment,
    next_moment,
    notice,
)
from mlreg.controller.domain.firing import Circumstances, Ruling
from mlreg.controller.domain.memory import Call, PolicyMemory
from mlreg.controller.domain.policy_file import Kinds, read_policy
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.settling import conclude_firing, settle
from mlreg.controller.domain.triggers import Event, View
from mlreg.controller.domain.waiting import Waiting
from mlreg.controller.triggers.kinds import trigger_kinds

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KINDS = Kinds(trigger_kinds(), {})
DRIFT = "triggers: [{drift: psi, above: 0.2, windows: {k: 2, of: 3}}]"


def policy_of(text):
    return read_policy(f"model: flights\ndata: {{label_delay: 1d}}\n{text}\n", KINDS)


def memory_of(**changes):
    return PolicyMemory(START, START, START)._replace(**changes)


def psi(number, value, *, subject="temp", state="final"):
    end = START + (number + 1) * DAY
    return WindowReading("psi", subject, end - DAY, end, value, 1_000, state)


@dataclass
class Replay:
    """Stored readings, shown as of a moment; who served and what came is told by the test."""

    found: list = field(default_factory=list)
    champion: int | None = 1
    promoted_at: datetime = START
    came: list = field(default_factory=list)

    def look(self, at):
        return View(at, at, promoted_at=self.promoted_at, champion=self.champion)

    def readings(self, need, at):
        shown = [one for one in self.found if need.after < one.end <= at]
        return {name: tuple(o for o in shown if o.monitor == name) for name in need.monitors}

    def events(self, source, seen, after):
        assert source == "upstream:weather@version"
        return [one for one in self.came if (one.serial > seen if seen else one.at > after)]


def play(policy, source, moments, memory=None, circumstances=None):
    """Return (moment, triggers, outcome) of every firing, and the memory after the last."""
    memory, fired = memory or memory_of(), []
    for at in moments:
        memory, _, fires = judge_moment(policy, source, memory, at)
        if fires:
            quiet = policy.quiet_hours is not None and policy.quiet_hours.end_of(at) is not None
            now = replace(circumstances or Circumstances(), quiet=quiet)
            outcome, memory, is_news = conclude_firing(policy, memory, fires, now, at)
            if is_news:
                fired.append((at, tuple(one.name for one in fires), outcome))
    return fired, memory


def days(count, first=1):
    return [START + number * DAY for number in range(first, first + count)]


def runs(fired):
    return [(at - START) // DAY for at, _, outcome in fired if outcome == "run"]


class TestExcursions:
    policy = policy_of(DRIFT)

    def test_one_excursion_makes_one_run_until_it_went_back(self):
        values = [0.1, 0.3, 0.3, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3]
        source = Replay([psi(number, value) for number, value in enumerate(values)])
        fired, _ = play(self.policy, source, days(len(values)))
        assert runs(fired) == [3, 9]

    def test_one_that_was_held_back_fires_again(self):
        source = Replay([psi(number, 0.3) for number in range(5)])
        frozen = Circumstances(frozen=True)
        fired, memory = play(self.policy, source, days(3), circumstances=frozen)
        assert [outcome for *_, outcome in fired] == ["frozen", "frozen"]
        assert runs(play(self.policy, source, days(2, 4), memory)[0]) == [4]

    def test_another_champion_is_another_excursion_but_not_of_windows_it_never_saw(self):
        source = Replay([psi(number, 0.3) for number in range(8)])
        fired, memory = play(self.policy, source, days(3))
        source.champion, source.promoted_at = 2, START + 3 * DAY + HOUR
        more, _ = play(self.policy, source, days(5, 4), memory)
        assert (runs(fired), runs(more)) == ([2], [5])

    def test_another_feature_is_another_excursion(self):
        found = [psi(number, 0.3) for number in range(6)]
        found += [psi(number, 0.5, subject="wind") for number in range(3, 6)]
        fired, _ = play(self.policy, Replay(found), days(6))
        assert runs(fired) == [2, 5]

    def test_an_outage_is_no_going_back(self):
        found = [psi(0, 0.3), psi(1, 0.3), psi(2, None, state="outage"), psi(3, 0.3), psi(4, 0.3)]
        fired, _ = play(self.policy, Replay(found), days(5))
        assert runs(fired) == [2]

    def test_between_border_and_release_it_is_neither_far_nor_back(self):
        policy = policy_of("triggers: [{drift: psi, above: 0.2, release_below: 0.1}]")
        values = [0.3, 0.15, 0.3, 0.05, 0.3]
        source = Replay([psi(number, value) for number, value in enumerate(values)])
        assert runs(play(policy, source, days(5))[0]) == [1, 5]
        without = policy_of("triggers: [{drift: psi, above: 0.2}]")
        assert runs(play(without, source, days(5))[0]) == [1, 3, 5]

    @given(st.lists(st.sampled_from([0.05, 0.15, 0.3]), max_size=25))
    @settings(max_examples=60, deadline=None)
    def test_between_two_runs_it_always_went_back(self, values):
        policy = policy_of("triggers: [{drift: psi, above: 0.2, release_below: 0.1}]")
        source = Replay([psi(number, value) for number, value in enumerate(values)])
        at = runs(play(policy, source, days(len(values)))[0])
        for earlier, later in pairwise(at):
            assert 0.05 in values[earlier : later - 1]
        assert bool(at) == (0.3 in values)

    def test_all_features_go_back_together(self):
        policy = policy_of("triggers: [{drift: psi, above: 0.2, features: all}]")
        found = [psi(number, 0.3) for number in range(5)]
        found += [psi(n, v, subject="wind") for n, v in enumerate([0.1, 0.3, 0.3, 0.1, 0.3])]
        assert runs(play(policy, Replay(found), days(5))[0]) == [2, 5]


class TestQuietHours:
    policy = policy_of(
        'triggers: [{schedule: "0 23 * * *"}, {drift: psi, above: 0.2}]\n'
        'quiet_hours: {from: "22:00", to: "06:00"}'
    )

    def moments(self, memory, until, source=None):
        """Play every due moment up to then, as a controller does that never sleeps."""
        fired = []
        while (at := next_moment(self.policy, memory)) <= until:
            due = due_moment(self.policy, memory, at) or at
            more, memory = play(self.policy, source or Replay(), [due], memory)
            width = self.policy.data.window
            closed = START + (due - START) // width * width
            memory = memory._replace(closed_until=closed, matured_until=closed - width)
            fired += more
        return fired, memory

    def test_a_firing_inside_is_held_once_and_judged_again_when_they_end(self):
        fired, _ = self.moments(memory_of(), START + 32 * HOUR)
        assert fired == [
            (START + 23 * HOUR, ("schedule",), "quiet"),
            (START + 30 * HOUR, ("schedule",), "run"),
        ]

    def test_what_lasts_is_judged_again_and_may_be_over(self):
        source = Replay([psi(0, 0.3)])
        policy = replace_triggers(self.policy, 1)
        at = START + DAY
        fired, memory = play(policy, source, [at])
        assert fired == [(at, ("drift",), "quiet")]
        assert next_moment(policy, memory) <= at + 6 * HOUR
        still, _ = play(policy, source, [at + 6 * HOUR], memory)
        assert [outcome for *_, outcome in still] == ["run"]
        source.found[0] = psi(0, 0.1)  # the window was read again
        assert play(policy, source, [at + 6 * HOUR], memory)[0] == []

    def test_it_ends_at_its_end_and_no_earlier(self):
        _, memory = play(self.policy, Replay(), [START + 23 * HOUR])
        assert memory.waiting.until == START + 30 * HOUR
        assert PolicyMemory.from_json(memory.to_json()) == memory
        fired, memory = play(self.policy, Replay(), [START + 29 * HOUR], memory)
        assert (fired, memory.waiting is not None) == ([], True)


def replace_triggers(policy, *places):
    triggers = tuple(policy.triggers[place] for place in places)
    return policy.model_copy(update={"triggers": triggers})


class TestWaitingForOthers:
    triggers = 'triggers: [{schedule: "0 3 * * *"}, {drift: psi, above: 0.2}]\n'

    def test_within(self):
        source = Replay([psi(3, 0.3), psi(4, 0.1)])
        moments = [START + 3 * HOUR, *days(3), START + 4 * DAY]
        near = policy_of(self.triggers + "combine: {at_least: 2, within: 2d}")
        far = policy_of(self.triggers + "combine: {at_least: all, within: 5d}")
        assert play(near, source, moments[:1] + moments[-1:])[0] == [
            (START + 4 * DAY, ("schedule", "drift"), "run")
        ]  # the schedule was due again before it
        once = Replay([psi(3, 0.3)])
        hourly = [START + 3 * HOUR, *(START + 3 * HOUR + n * HOUR for n in range(1, 20))]
        assert play(near, once, hourly)[0] == []
        assert [one[1] for one in play(far, once, moments)[0]] == [("schedule", "drift")]

    def test_a_call_waits_for_the_others_too(self):
        policy = policy_of("triggers: [{webhook: go}, {drift: psi, above: 0.2}]\ncombine: all")
        call = Call("go", Event(1, START + HOUR, "called", {"by": "ada"}))
        source = Replay([psi(0, 0.3)])
        fired, memory = play(policy, source, [START + HOUR], memory_of(calls=(call,), called=1))
        assert (fired, memory.calls) == ([], ())
        assert [one[1] for one in play(policy, source, days(1), memory)[0]] == [
            ("drift", "webhook")
        ]


class TestEvents:
    policy = policy_of("triggers: [{upstream: weather}]")

    def test_each_is_shown_once_by_its_serial(self):
        source = Replay(came=[Event(7, START + HOUR, "version 7 of weather was registered")])
        fired, memory = play(self.policy, source, [START + 2 * HOUR, START + 3 * HOUR])
        assert [at for at, *_ in fired] == [START + 2 * HOUR]
        assert memory.seen == {"upstream:weather@version": 7}
        source.came.append(Event(8, START + HOUR, "an earlier time, committed later"))
        assert len(play(self.policy, source, [START + 4 * HOUR], memory)[0]) == 1

    def test_what_is_yet_to_come_is_not_shown(self):
        source = Replay(came=[Event(7, START + 5 * HOUR, "later")])
        fired, _ = play(self.policy, source, [START + HOUR, START + 5 * HOUR])
        assert [at for at, *_ in fired] == [START + 5 * HOUR]

    def test_by_hand_needs_no_trigger_and_minds_no_combination(self):
        policy = policy_of("triggers: [{upstream: weather}, {webhook: go}]\ncombine: all")
        call = Call("manual", Event(1, START, "fired by hand by ada: prices"))
        at = due_moment(policy, memory_of(calls=(call,)), START)
        assert at > START  # the moment START was judged already
        memory, _, fires = judge_moment(policy, Replay(), memory_of(calls=(call,)), at)
        assert [(one.name, one.finding.because) for one in fires] == [
            ("manual", "fired by hand by ada: prices")
        ]
        assert memory.calls == ()


class TestDueTimes:
    def due(self, catch_up, now, memory=None):
        policy = policy_of(f"triggers: [{{every: 1h, catch_up: {catch_up}}}]")
        return policy, due_moment(policy, memory or memory_of(), now)

    def play(self, catch_up, now):
        """Wake up at a moment after the controller was down since START."""
        policy, fired, missed, memory = None, [], 0, memory_of()
        while True:
            policy, due = self.due(catch_up, now, memory)
            if due is None:
                return fired, missed
            memory, findings, fires = judge_moment(policy, Replay(), notice(memory, due, now), due)
            missed += findings["every"].missed
            if fires:
                memory = settle(policy, memory, fires, Ruling("run"), due)
                fired.append((due - START) // HOUR)

    def test_what_was_slept_through(self):
        late = START + 3.5 * HOUR
        assert self.play("latest", late) == ([3], 2)
        assert self.play("all", late) == ([1, 2, 3], 0)
        assert self.play("none", late) == ([], 3)

    def test_no_window_that_closed_meanwhile_passes_a_due_time_over(self):
        fired, missed = self.play("all", START + 50.5 * HOUR)
        assert (fired, missed) == (list(range(1, 51)), 0)

    def test_what_is_looked_at_in_time_is_judged_however_long_it_waits(self):
        in_time = START + HOUR + timedelta(seconds=20)
        assert self.play("none", in_time) == ([1], 0)
        policy, due = self.due("none", in_time)
        memory = notice(notice(memory_of(), due, in_time), due, in_time + 5 * HOUR)
        assert judge_moment(policy, Replay(), memory, due).fires

    def test_of_a_year_only_the_newest_are_caught_up(self):
        fired, missed = self.play("all", START + 365 * DAY)
        assert len(fired) == 100
        assert (fired[0], fired[-1]) == (24 * 365 - 99, 24 * 365)
        assert missed >= 999


def test_memory_of_an_earlier_version_is_read():
    form = memory_of(held={"drift": START}).to_json()
    old = {key: form[key] for key in ("closed_until", "matured_until", "judged_at", "held")} | {
        "suspicion": None
    }
    assert PolicyMemory.from_json(old) == memory_of(held={"drift": START})


moments = st.integers(0, 1_000).map(lambda hours: START + hours * HOUR)

EVENTS = st.builds(Event, st.integers(0, 9), moments, st.text(max_size=5))


@given(
    st.builds(
        memory_of,
        noticed=st.none() | st.tuples(moments, moments),
        champion=st.none() | st.integers(1, 9),
        spent=st.dictionaries(st.sampled_from("ab"), st.tuples(st.text(max_size=3)), max_size=2),
        seen=st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2),
        calls=st.tuples(
            st.builds(Call, st.text(), st.builds(Event, st.integers(), moments, st.text()))
        ),
        woken=st.none() | moments,
    )
)
@settings(max_examples=50)
def test_memory_is_read_as_it_was_written(memory):
    assert PolicyMemory.from_json(memory.to_json()) == memory


@pytest.mark.parametrize("state", ["outage", "empty", "immature"])
def test_nothing_to_judge_is_no_firing(state):
    source = Replay([psi(number, None, state=state) for number in range(5)])
    assert play(policy_of(DRIFT), source, days(5))[0] == []


class TestDisabled:
    """What falls due while a policy is disabled is never caught up, whatever `catch_up` says."""

    OFF = (START + 2 * DAY + 6 * HOUR, START + 60 * DAY + 6 * HOUR)

    def fired(self, catch_up, judged_at=START, until=START + 61 * DAY + 6 * HOUR):
        policy = policy_of(
            f'triggers: [{{schedule: "0 3 * * *", catch_up: {catch_up}}}]\ncooldown: 1h'
        )
        memory = memory_of(judged_at=judged_at).stopped(self.OFF[0]).resumed(self.OFF[1])
        source, at, found = Replay(), self.OFF[1], []
        while at <= until:
            while due := due_moment(policy, memory, at):
                memory = notice(memory, due, at)
                memory, _, fires = judge_moment(policy, source, memory, due)
                found += [one.finding.evidence[0] for one in fires]
            memory = memory._replace(closed_until=due_day(at), matured_until=due_day(at) - DAY)
            before, at = at, next_moment(policy, memory)
            assert at > before
        assert memory.disabled == ()
        return [(one["due"][:10], one["missed"]) for one in found]

    def test_latest_and_none_begin_anew(self):
        for catch_up in ("latest", "none"):
            assert self.fired(catch_up) == [("2013-08-31", 0)]

    def test_all_catches_up_what_was_due_before(self):
        due = ["2013-07-01", "2013-07-02", "2013-07-03", "2013-08-31"]
        assert self.fired("all") == [(one, 0) for one in due]

    def test_disabled_twice_before_anybody_looks(self):
        memory = memory_of().stopped(START + DAY).resumed(START + 2 * DAY)
        memory = memory.stopped(START + 3 * DAY).resumed(START + 4 * DAY)
        memory = PolicyMemory.from_json(memory.to_json())
        policy = policy_of('triggers: [{schedule: "0 3 * * *", catch_up: all}]')
        assert due_moment(policy, memory, START + 5 * DAY) == START + 3 * HOUR
        after = memory._replace(judged_at=START + 3 * HOUR)
        assert due_moment(policy, after, START + 5 * DAY) == START + 2 * DAY + 3 * HOUR

    def test_a_firing_that_waited_for_the_end_of_quiet_hours_is_over(self):
        waiting = memory_of(waiting=Waiting("quiet", START, START + DAY, {"schedule": START}))
        assert waiting.stopped(START).resumed(START + 2 * DAY).waiting is None
        assert waiting.stopped(START).resumed(START + HOUR).waiting is not None


def due_day(at):
    return at.replace(hour=0, minute=0)
