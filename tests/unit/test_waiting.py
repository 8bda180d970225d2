"""What happened once waits for what holds it back to end, and is in one firing with a run."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mlreg.controller.domain.budget import Spent
from mlreg.controller.domain.collecting import Collection
from mlreg.controller.domain.evaluating import due_moment, judge_moment, next_moment
from mlreg.controller.domain.firing import Budgeted, Circumstances, PastRun, Ruling
from mlreg.controller.domain.memory import Call, PolicyMemory
from mlreg.controller.domain.pending import collect, conclude
from mlreg.controller.domain.policy_file import Kinds, read_policy
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.settling import conclude_firing, settle
from mlreg.controller.domain.triggers import Event, View
from mlreg.controller.domain.waiting import MOST_SHOWN, Waiting
from mlreg.controller.domain.windows import window_of
from mlreg.controller.triggers.kinds import trigger_kinds

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KINDS = Kinds(trigger_kinds(), {})
TWO = "triggers: [{upstream: weather}, {webhook: go}]\n"


def policy_of(text):
    return read_policy(f"model: flights\ndata: {{label_delay: 1d}}\n{text}\n", KINDS)


def version(serial, at):
    return Event(serial, at, f"version {serial} of weather", {"version": serial})


def call(serial, at):
    return Call("go", Event(serial, at, f"call {serial}", {"call": serial}))


@dataclass
class World:
    """A controller that looks each hour: what came, what stands in the way, what ran.

    `frozen` and `down` are hours; a run takes `runs_for`. What nobody knows the end of wakes the
    policy, as the store does for the live controller.
    """

    policy: object
    came: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    frozen: frozenset = frozenset()
    down: frozenset = frozenset()
    runs_for: timedelta = HOUR
    found: list = field(default_factory=list)
    champion: int = 1
    runs: list = field(default_factory=list)
    fired: list = field(default_factory=list)
    memory: PolicyMemory = field(default_factory=lambda: PolicyMemory(START, START, START))

    def look(self, at):
        return View(at, at, promoted_at=START, champion=self.champion)

    def readings(self, need, at):
        shown = [one for one in self.found if need.after < one.end <= at]
        return {name: tuple(o for o in shown if o.monitor == name) for name in need.monitors}

    def events(self, source, seen, after):
        assert source == "upstream:weather@version"
        return [one for one in self.came if (one.serial > seen if seen else one.at > after)]

    def circumstances(self, at, fires):
        quiet, hour = self.policy.quiet_hours, (at - START) // HOUR
        return Circumstances(
            quiet=quiet is not None and quiet.end_of(at) is not None,
            by_hand=any(one.name == "manual" for one in fires),
            frozen=hour in self.frozen,
            outage=hour in self.down,
            busy=self.is_busy(at),
            runs=tuple(PastRun(one) for one in self.runs),
        )

    def is_busy(self, at):
        return bool(self.runs) and at < self.runs[-1] + self.runs_for

    def over(self, at):
        why = self.memory.waiting and self.memory.waiting.why
        frozen = (at - START) // HOUR in self.frozen
        return (why == "busy" and not self.is_busy(at)) or (why == "frozen" and not frozen)

    def tick(self, now):
        before, width = now - HOUR, self.policy.data.window
        called = tuple(one for one in self.calls if before < one.event.at <= now)
        news = any(before < one.at <= now for one in self.came)
        closed, ripe = (window_of(now - lag, width).start for lag in (timedelta(), DAY))
        self.memory = PolicyMemory.from_json(self.memory.to_json())._replace(
            closed_until=closed,
            matured_until=ripe,
            calls=(*self.memory.calls, *called),
            woken=now if news or self.over(now) else self.memory.woken,
        )
        while due := due_moment(self.policy, self.memory, now):
            self.judge(due)
        assert next_moment(self.policy, self.memory) > now

    def judge(self, due):
        self.memory, _, fires = judge_moment(self.policy, self, self.memory, due)
        if fires:
            now = self.circumstances(due, fires)
            found = conclude_firing(self.policy, self.memory, fires, now, due)
            self.memory = found.memory
            if found.outcome == "run":
                self.runs.append(due)
            if found.is_news:
                self.fired.append((due, found.outcome, fires))

    def play(self, hours, first=1):
        for hour in range(first, hours + 1):
            self.tick(START + hour * HOUR)
        return [((due - START) / HOUR, outcome) for due, outcome, _ in self.fired]

    def told(self):
        """Return what each run was told, by name of the evidence."""
        return [
            [part for one in fires for part in (one.finding.evidence if one.finding else ())]
            for _, outcome, fires in self.fired
            if outcome == "run"
        ]


class TestObstacles:
    def world(self, *hours, rules="cooldown: 6h", triggers=TWO, **changes):
        calls = [call(number, START + hour * HOUR) for number, hour in enumerate(hours, 1)]
        return World(policy_of(triggers + rules), calls=calls, **changes)

    def test_the_cooldown_of_its_own_run(self):
        world = self.world(1, 3, 4)
        assert world.play(20) == [(1, "run"), (3, "cooldown"), (7, "run")]
        assert [[one["call"] for one in told] for told in world.told()] == [[1], [2, 3]]
        (_, _, (held,)) = world.fired[-1]
        assert held.finding.because == (
            "call 2 at 2013-07-01 03:00:00 UTC; call 3 at 2013-07-01 04:00:00 UTC;"
            " waited since 2013-07-01 03:00 UTC"
        )

    def test_an_open_run_then_its_cooldown(self):
        world = self.world(1, 2, runs_for=3 * HOUR)
        assert world.play(20) == [(1, "run"), (2, "busy"), (4, "cooldown"), (7, "run")]

    def test_a_freeze(self):
        world = self.world(30, 100, frozen=frozenset(range(10, 500)))
        assert world.play(600) == [(30, "frozen"), (500, "run")]
        assert [[one["call"] for one in told] for told in world.told()] == [[1, 2]]

    def test_an_outage_is_looked_at_as_windows_close(self):
        world = self.world(30, down=frozenset(range(24, 60)))
        assert world.play(80) == [(30, "outage"), (72, "run")]

    def test_the_budget_of_the_day(self):
        world = self.world(1, 8, rules="cooldown: 1h\nbudget: {runs_per_day: 1}")
        assert world.play(40) == [(1, "run"), (8, "budget"), (25, "run")]

    def test_the_budget_of_real_seconds_is_looked_at_again_when_they_are_free(self):
        policy = policy_of(TWO + "budget: {train_seconds_per_day: 10}")
        real = datetime(2030, 1, 1, tzinfo=UTC)
        spent = Budgeted(real, [Spent(real - 20 * HOUR, 60.0)])
        memory = PolicyMemory(START, START, START, calls=(call(1, START),))
        memory, _, fires = judge_moment(policy, World(policy), memory, START + HOUR)
        found = conclude_firing(policy, memory, fires, Circumstances(spent=spent), START + HOUR)
        assert (found.outcome, found.memory.waiting.until) == ("budget", START + 5 * HOUR)

    def test_a_call_by_hand_waits_for_the_open_run_alone(self):
        world = self.world(1, runs_for=3 * HOUR, frozen=frozenset(range(2, 50)))
        world.calls.append(Call("manual", Event(2, START + 2 * HOUR, "by hand", {"by": "ada"})))
        assert world.play(20)[-1][1] == "run"
        assert world.told()[-1] == [{"by": "ada"}]

    def test_due_times_are_let_go_but_in_quiet_hours(self):
        world = self.world(1, rules="cooldown: 6h", triggers="triggers: [{every: 1h}]\n")
        assert [one for one in world.play(8) if one[1] == "run"] == [(1, "run"), (7, "run")]
        quiet = 'quiet_hours: {from: "02:00", to: "05:00"}\ncooldown: 1m'
        assert (3, "quiet") not in self.world(
            rules=quiet, triggers="triggers: [{every: 1h}]\n"
        ).play(6)

    def test_both_kinds_at_once(self):
        world = self.world(1, 2, triggers="triggers: [{every: 4h}, {webhook: go}]\n")
        assert world.play(7)[-1] == (7, "run")
        assert [one.name for one in world.fired[-1][2]] == ["webhook"]


class TestOthers:
    """Under `all` and `at_least` what waits counts until the others are judged again."""

    triggers = "triggers: [{webhook: go}, {drift: psi, above: 0.2}]\ncooldown: 1h\n"

    def world(self, combine, drifted, **changes):
        found = [
            WindowReading("psi", "temp", START + day * DAY, START + (day + 1) * DAY, value, 1_000)
            for day, value in enumerate(drifted)
        ]
        policy = policy_of(f"{self.triggers}combine: {combine}")
        return World(policy, calls=[call(1, START + 2 * HOUR)], found=found, **changes)

    def test_the_whole_firing_waits(self):
        frozen = frozenset(range(20, 300))
        world = self.world("all", [0.5] * 20, frozen=frozen)
        assert world.play(400) == [(24, "frozen"), (300, "run")]
        assert [one.name for one in world.fired[-1][2]] == ["drift", "webhook"]

    def test_when_the_others_are_over_it_waits_for_them_as_long_as_is_said(self):
        frozen = frozenset(range(20, 60))
        soon = [0.5, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1]
        assert self.world("all", soon, frozen=frozen).play(200) == [(24, "frozen"), (96, "run")]
        brief = "{at_least: all, within: 30h}"
        assert self.world(brief, soon, frozen=frozen).play(200) == [(24, "frozen")]

    def test_what_lasts_counts_for_the_others_as_long_as_is_said_whatever_held_them_back(self):
        lasting = "triggers: [{drift: psi, above: 0.2}, {drift: null_share, above: 0.2}]\n"
        drifts = {"psi": [0.5, 0.1, 0.1, 0.1, 0.1], "null_share": [0.1, 0.5, 0.5, 0.5, 0.5]}
        found = [
            WindowReading(name, "temp", START + day * DAY, START + (day + 1) * DAY, value, 1_000)
            for name, values in drifts.items()
            for day, value in enumerate(values)
        ]
        for within, ran in (("3d", (72, "run")), ("2d", (48, "frozen"))):
            rules = f"cooldown: 1h\ncombine: {{at_least: 2, within: {within}}}"
            policy = policy_of(lasting + rules)
            world = World(policy, found=found, frozen=frozenset(range(40, 60)))
            assert world.play(100)[-1] == ran


def test_a_collection_that_is_given_up_in_a_freeze_still_has_its_run():
    data = "data: {select: {since_change: 1000, give_up: 2d}, label_delay: 1d}"
    policy = read_policy(f"model: m\n{data}\ntriggers: [{{every: 1d}}]\n", KINDS)
    collection = Collection(START, START, needed=1_000)
    memory = PolicyMemory(START, START, START, collection=collection)
    outcomes = []
    for frozen in (True, False):
        at = START + 2 * DAY
        pending = collect(policy, World(policy), memory, (), at)
        found = conclude(policy, pending, Circumstances(frozen=frozen), at)
        memory = found.memory
        outcomes.append((found.outcome, memory.collection is not None))
    assert outcomes == [("frozen", True), ("run", False)]


class TestMemory:
    def test_it_is_bounded_and_says_what_it_left_out(self):
        world = World(policy_of(TWO), frozen=frozenset(range(1_000)))
        world.calls = [call(number, START + number * HOUR) for number in range(1, 101)]
        world.play(100)
        waiting = world.memory.waiting
        assert len(waiting.happened) == MOST_SHOWN
        (held,) = waiting.held()
        assert held.since == START + HOUR
        assert held.finding.because.startswith("others since 2013-07-01 01:00:00 UTC; call 81 at")
        assert [one["call"] for one in held.finding.evidence] == list(range(81, 101))
        assert PolicyMemory.from_json(world.memory.to_json()) == world.memory

    def test_one_that_calls_often_leaves_no_other_out(self):
        world = World(policy_of(TWO), frozen=frozenset(range(1, 40)))
        world.came = [version(1, START + HOUR)]
        world.calls = [call(number, START + (number + 1) * HOUR) for number in range(1, 31)]
        assert world.play(50)[-1] == (40, "run")
        assert {one.name for one in world.fired[-1][2]} == {"upstream", "webhook"}

    def test_what_an_earlier_version_let_wait_for_quiet_hours(self):
        form = PolicyMemory(START, START, START).to_json()
        del form["waiting"]
        quiet = {"until": (START + DAY).isoformat(), "waiting": {"webhook": START.isoformat()}}
        memory = PolicyMemory.from_json({**form, "quiet": {**quiet, "told": ["webhook"]}})
        world = World(policy_of(TWO + "cooldown: 1h"), memory=memory)
        assert world.play(30) == [(24, "run")]

    def test_what_a_newer_version_remembers_is_written_back_and_nothing_else(self):
        form = PolicyMemory(START, START, START).to_json()
        newer = PolicyMemory.from_json({**form, "quiet": None, "quantum": {"spin": 1}})
        assert newer.anew(START + DAY, {}).to_json().keys() - form.keys() == {"quantum"}
        assert newer.judged(START + DAY).to_json()["quantum"] == {"spin": 1}

    def test_another_text_keeps_what_waits_for_the_triggers_that_stay(self):
        happened = Waiting("frozen", START).joined(
            judge_moment(
                policy_of(TWO),
                World(policy_of(TWO), came=[version(1, START + HOUR)]),
                PolicyMemory(START, START, START, calls=(call(1, START + HOUR),)),
                START + HOUR,
            ).fires
        )
        memory = PolicyMemory(START, START, START, waiting=happened)
        assert memory.anew(START, {}).waiting is None
        kept = memory.anew(START, {"webhook": "webhook:2"}).waiting
        assert set(kept.first) == {one.trigger for one in kept.happened} == {"webhook:2"}

    def test_who_disables_a_policy_wants_nothing_that_waits_but_for_what_is_known_to_go_on(self):
        def after(until, at):
            held = Waiting("frozen", START, until, {"webhook": START})
            memory = PolicyMemory(START, START, START, held={"webhook": START}, waiting=held)
            return memory.stopped(START).resumed(at)

        gone = after(None, START + HOUR)
        assert (gone.waiting, gone.held) == (None, {})
        assert after(START + HOUR, START + HOUR).waiting is None
        assert after(START + 2 * HOUR, START + HOUR).waiting is not None

    def test_a_run_of_something_else_takes_no_event_with_it(self):
        policy = policy_of(TWO)
        held = Waiting("frozen", START, None, {"webhook": START})
        memory = PolicyMemory(START, START, START, waiting=held)
        assert settle(policy, memory, (), Ruling("run"), START).waiting == held
        assert settle(policy, memory, held.held(), Ruling("run"), START).waiting is None


hours = st.integers(1, 150)
spans = st.lists(st.tuples(hours, st.integers(1, 90)), max_size=3).map(
    lambda all_: frozenset(hour for first, long in all_ for hour in range(first, first + long))
)


@given(
    st.lists(hours, max_size=9),
    st.lists(hours, max_size=9),
    spans,
    spans,
    st.integers(1, 40),
    st.sampled_from(
        [
            "cooldown: 1h",
            "cooldown: 3d",
            'cooldown: 1h\nquiet_hours: {from: "20:00", to: "09:00"}',
            "cooldown: 1h\nbudget: {runs_per_day: 1, runs_per_week: 3}",
        ]
    ),
)
@settings(max_examples=40, deadline=None)
def test_no_event_is_lost_and_none_counts_twice(versions, calls, frozen, down, takes, rules):
    world = World(policy_of(TWO + rules), frozen=frozen, down=down, runs_for=takes * HOUR)
    world.came = [version(n, START + h * HOUR) for n, h in enumerate(sorted(versions), 1)]
    world.calls = [call(n, START + h * HOUR) for n, h in enumerate(sorted(calls), 1)]
    world.play(500)
    told = [
        (key, one[key])
        for run in world.told()
        for one in run
        for key in ("version", "call")
        if key in one
    ]
    wanted = [("version", n) for n in range(1, len(versions) + 1)]
    wanted += [("call", n) for n in range(1, len(calls) + 1)]
    assert sorted(told) == sorted(wanted)
    assert world.memory.waiting is None
    began = {(due - START) // HOUR for due, outcome, _ in world.fired if outcome == "run"}
    assert not began & (frozen | down)
