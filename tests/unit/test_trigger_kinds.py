"""The newer triggers, what they refuse with its line, and one that somebody else has written."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlreg.controller.domain.policy_file import InvalidPolicyError, Kinds, read_policy
from mlreg.controller.domain.policy_schema import policy_schema
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.triggers import Event, View
from mlreg.controller.domain.upstream import Upstream, parse_upstream
from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.controller.triggers.invariant import InvariantTrigger
from mlreg.controller.triggers.kinds import trigger_kinds
from mlreg.controller.triggers.performance import PerformanceTrigger
from mlreg.controller.triggers.predictions import PredictionsTrigger
from mlreg.controller.triggers.webhook import WebhookTrigger

START = datetime(2013, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PACKAGE = Path(__file__).parents[1] / "packages" / "mlreg_weekday"


def day(number, monitor, value, *, subject="", rows=1_000, state="final", **changes):
    start = START + number * DAY
    return WindowReading(monitor, subject, start, start + DAY, value, rows, state, **changes)


def view(*readings, **changes):
    found = {}
    for one in readings:
        found.setdefault(one.monitor, []).append(one)
    newest = max((one.end for one in readings), default=START)
    fields = {"now": newest, "previous": newest - DAY, "promoted_at": START, **changes}
    return View(readings={name: tuple(ones) for name, ones in found.items()}, **fields)


def judge(trigger, *readings, **changes):
    return trigger.judge(view(*readings, **changes))


def each(monitor, *values, **changes):
    return [day(number, monitor, value, **changes) for number, value in enumerate(values)]


class TestDriftOfAnything:
    @pytest.mark.parametrize(
        "monitor",
        ["null_share", "score_psi", "label_share", "rows", "concept_loss", "business:revenue"],
    )
    def test_any_monitor(self, monitor):
        trigger = DriftTrigger(drift=monitor, above=10.0, min_rows=1)
        assert judge(trigger, *each(monitor, 11.0)).holds
        assert not judge(trigger, *each(monitor, 9.0)).holds

    def test_k_of_n(self):
        trigger = DriftTrigger(drift="psi", above=0.2, windows={"k": 3, "of": 5})
        assert judge(trigger, *each("psi", 0.3, 0.1, 0.3, 0.1, 0.3, subject="t")).holds
        assert not judge(trigger, *each("psi", 0.3, 0.3, 0.1, 0.1, 0.3, 0.1, subject="t")).holds
        two = judge(trigger, *each("psi", 0.3, 0.3, subject="t"))
        assert (two.holds, two.missing) == (False, "1 more window above 0.2; t is at 0.3")

    def test_below(self):
        trigger = DriftTrigger(drift="business:revenue", below=100.0)
        assert judge(trigger, *each("business:revenue", 99.0, rows=1)).holds
        assert not judge(trigger, *each("business:revenue", 100.0, rows=1)).holds

    def test_a_detector_needs_no_border(self):
        trigger = DriftTrigger(drift="concept_adwin")
        assert judge(trigger, *each("concept_adwin", 0.0, 1.0)).holds
        assert not judge(trigger, *each("concept_adwin", 1.0, 0.0)).holds


class TestPerformanceInOtherWays:
    def test_against_a_number(self):
        low = PerformanceTrigger(performance="auc", below=0.7, min_rows=2_000)
        assert judge(low, *each("auc", 0.8, 0.69, 0.69)).holds
        assert not judge(low, *each("auc", 0.6, 0.6, 0.75, 0.75)).holds
        assert not judge(low, *each("auc", 0.6)).holds  # too few rows
        high = PerformanceTrigger(performance="log_loss", above=0.5)
        assert judge(high, *each("log_loss", 0.4, 0.6)).holds

    def test_slices_are_not_the_model(self):
        low = PerformanceTrigger(performance="auc", below=0.7)
        assert not judge(low, *each("auc", 0.1, subject="origin=JFK")).holds

    def test_only_estimates_where_that_is_said(self):
        estimated = each("estimated_auc", 0.5, state="estimate")
        assert judge(
            PerformanceTrigger(performance="auc", below=0.7, on="estimated"), *estimated
        ).holds
        assert not judge(PerformanceTrigger(performance="auc", below=0.7), *estimated).holds

    def test_against_its_own_history_of_the_same_season(self):
        """Sundays are always bad; a bad Tuesday is not."""
        values = [0.1 if number % 7 == 6 else 0.3 for number in range(42)]
        trigger = PerformanceTrigger(performance="auc", drop=0.05, against="history")
        for until in range(36, 42):
            assert not judge(trigger, *each("skill_auc", *values[:until])).holds
        assert judge(trigger, *each("skill_auc", *values[:36], 0.2)).holds
        young = judge(trigger, *each("skill_auc", *values[:10], 0.2))
        assert young.because == "11 windows of this champion do not say yet what is usual"
        assert (young.holds, young.missing) == (False, "14 windows before one to judge")

    def test_k_of_n_groups(self):
        trigger = PerformanceTrigger(performance="auc", below=0.7, windows={"k": 2, "of": 3})
        assert judge(trigger, *each("auc", 0.6, 0.8, 0.6)).holds
        assert not judge(trigger, *each("auc", 0.6, 0.8, 0.8, 0.6)).holds

    def test_the_champions_own_windows_only(self):
        trigger = PerformanceTrigger(performance="auc", below=0.7)
        assert not judge(trigger, *each("auc", 0.5), promoted_at=START + 12 * DAY).holds


class TestInvariants:
    any_ = InvariantTrigger(invariant="any")

    def broken(self, value, verdict, name="x-known", kind="not_null"):
        return day(0, f"invariant:{name}", value, verdict=verdict, evidence={"kind": kind})

    def test_by_their_own_declarations_or_by_a_share(self):
        assert judge(self.any_, self.broken(0.001, "unusual")).holds
        assert not judge(self.any_, self.broken(0.5, "normal")).holds
        share = InvariantTrigger(invariant="any", share=0.01)
        assert judge(share, self.broken(0.02, "normal")).holds
        assert not judge(share, self.broken(0.01, "unusual")).holds
        assert not judge(share, self.broken(12.5, "unusual", kind="mean")).holds

    def test_one_that_is_broken_still_is_told_once(self):
        finding = judge(self.any_, self.broken(0.1, "unusual"), spent=frozenset({"x-known"}))
        assert (finding.holds, finding.back) == (False, ())
        finding = judge(self.any_, self.broken(0.0, "normal"), spent=frozenset({"x-known"}))
        assert finding.back == ("x-known",)


def test_predictions_count_since_the_last_run_labelled_or_not():
    trigger = PredictionsTrigger(predictions=2_000)
    readings = each("rows", 900.0, 900.0, 900.0)
    assert judge(trigger, *readings).holds
    late = judge(trigger, *readings, last_run_at=START + DAY)
    assert (late.holds, late.missing) == (False, "200 more predictions")


def test_a_call_is_evidence():
    event = Event(3, START, "prices called by ci", {"payload": {"batch": 7}})
    finding = WebhookTrigger(webhook="prices").judge(View(START, START, events=(event,)))
    assert finding.holds
    assert finding.evidence[0]["payload"] == {"batch": 7}
    assert finding.because == "prices called by ci at 2013-07-01 00:00:00 UTC"


def test_what_may_be_followed():
    assert parse_upstream("weather") == Upstream("weather", "version")
    assert str(parse_upstream("weather@champion")) == "weather@champion:production"
    assert parse_upstream("w@champion:staging").environment == "staging"
    for wrong in ("w@version:staging", "w@best", "W@champion", ""):
        with pytest.raises(ValueError, match="none of the forms"):
            parse_upstream(wrong)


REFUSED = [
    ("{drift: psi, above: 0.2, release_below: 0.3}", "it would be back while it fires"),
    ("{drift: psi, above: 0.2, release_above: 0.1}", "`release_above` goes with `below`"),
    ("{drift: psi, above: 0.2, windows: {k: 4, of: 3}}", "4 of 3 windows can never be"),
    ("{drift: psi, above: 0.2, below: 0.1}", "one trigger watches one side"),
    ("{drift: pse, above: 0.2}", "no monitor 'pse'; did you mean psi?"),
    ("{drift: infinite_share, above: 0.2}", "the log takes no infinite values"),
    ("{drift: rows, below: 5, features: [temp]}", "of no single feature"),
    ("{performance: auc, above: 0.7}", "auc is better when higher: use `below`"),
    ("{performance: auc}", "needs one of `drop: 0.02`"),
    ("{performance: accuracy, drop: 0.02}", "accuracy has no skill"),
    ("{performance: auc, drop: 0.02, on: estimated}", "estimates have no skill"),
    ("{performance: mape, above: 2, on: estimated}", "nobody estimates mape"),
    ("{every: 30s}", "at least a minute"),
    ("{every: 6h, catch_up: some}", "'latest', 'all' or 'none'"),
    ("{webhook: manual}", "give it another name"),
    ("{upstream: weather@best}", "none of the forms"),
    ("{invariant: any, share: 1.5}", "less than 1"),
]


@pytest.mark.parametrize(("trigger", "problem"), REFUSED)
def test_what_contradicts_itself_is_refused_with_its_line(trigger, problem):
    text = f"model: flights\ntriggers:\n  - {{schedule: '0 3 * * *'}}\n  - {trigger}\n"
    with pytest.raises(InvalidPolicyError) as caught:
        read_policy(text, Kinds(trigger_kinds(), {}))
    (said,) = caught.value.problems
    assert said.startswith("line 4: triggers[1]")
    assert problem in said


@pytest.mark.parametrize(
    ("hours", "problem"),
    [
        ('{from: "22:00"}', "needs both `from` and `to`"),
        ("{from: 22:00, to: 06:00}", "in quotes"),
        ('{from: "22:00", to: "22:00"}', "are the same"),
        ("{days: []}", "names no day"),
        ("{timezone: Europe/Berlin}", "every hour is quiet"),
        ('{from: "22:00", to: "06:00", timezone: Berlin}', "is no time zone"),
    ],
)
def test_quiet_hours_that_cannot_be(hours, problem):
    text = f"model: flights\ntriggers: [{{every: 1d}}]\nquiet_hours: {hours}\n"
    with pytest.raises(InvalidPolicyError, match=r"^line 3: quiet_hours") as caught:
        read_policy(text, Kinds(trigger_kinds(), {}))
    assert problem in str(caught.value)


def quiet(hours):
    text = f"model: flights\ntriggers: [{{every: 1d}}]\nquiet_hours: {hours}\n"
    return read_policy(text, Kinds(trigger_kinds(), {})).quiet_hours


def test_quiet_hours_end_by_the_clocks_of_their_zone():
    nights = quiet('{from: "22:00", to: "06:00", timezone: Europe/Berlin}')
    winter, summer = datetime(2024, 1, 9, 23, tzinfo=UTC), datetime(2024, 3, 30, 23, tzinfo=UTC)
    assert nights.end_of(winter) == datetime(2024, 1, 10, 5, tzinfo=UTC)
    assert nights.end_of(summer) == datetime(2024, 3, 31, 4, tzinfo=UTC)  # the short night
    assert nights.end_of(datetime(2024, 1, 9, 20, 59, tzinfo=UTC)) is None
    assert nights.end_of(datetime(2024, 1, 10, 5, tzinfo=UTC)) is None
    weekend = quiet("{days: [sat, sun]}")
    saturday = datetime(2024, 1, 6, 12, tzinfo=UTC)
    assert weekend.end_of(saturday) == datetime(2024, 1, 8, tzinfo=UTC)
    friday = quiet('{from: "22:00", to: "06:00", days: [fri]}')
    assert friday.end_of(datetime(2024, 1, 6, 2, tzinfo=UTC)) == datetime(2024, 1, 6, 6, tzinfo=UTC)
    assert friday.end_of(datetime(2024, 1, 5, 2, tzinfo=UTC)) is None


@pytest.fixture
def somebody_elses(monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGE))
    trigger_kinds.cache_clear()
    yield
    trigger_kinds.cache_clear()
    sys.modules.pop("weekday_trigger", None)


@pytest.mark.usefixtures("somebody_elses")
def test_a_trigger_of_somebody_elses_package():
    kinds = Kinds(trigger_kinds(), {})
    policy = read_policy("model: flights\ntriggers: [{weekday: mon}]\n", kinds)
    (trigger,) = policy.triggers
    assert trigger.judge(View(START, START)).holds  # 1 July 2013 was a Monday
    assert not trigger.judge(View(START + DAY, START)).holds
    with pytest.raises(InvalidPolicyError, match=r"line 2: triggers\[0\]\.weekday"):
        read_policy("model: flights\ntriggers: [{weekday: holiday}]\n", kinds)


@pytest.mark.parametrize(
    ("module", "cause"),
    [("import no_such_library", "ModuleNotFoundError"), ("Moon = 3", "moon_trigger:Moon is no")],
)
def test_one_that_cannot_be_loaded_stops_only_policies_that_name_it(
    monkeypatch, tmp_path, module, cause
):
    (tmp_path / "moon_trigger.py").write_text(module)
    (distribution := tmp_path / "moon-1.2.dist-info").mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: moon\nVersion: 1.2\n")
    (distribution / "entry_points.txt").write_text("[mlreg.triggers]\nmoon = moon_trigger:Moon\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        kinds = Kinds(trigger_kinds.__wrapped__(), {})
    finally:
        sys.modules.pop("moon_trigger", None)
    assert read_policy("model: f\ntriggers: [{labelled_rows: 5}]\n", kinds).triggers
    expected = rf"line 2: triggers\[0\]: .*'moon' of the package moon 1.2 .*cannot be .*{cause}"
    with pytest.raises(InvalidPolicyError, match=expected):
        read_policy("model: f\ntriggers: [{moon: full}]\n", kinds)
    assert policy_schema(kinds)["$defs"]["moon:BrokenTrigger"]


def test_without_the_package_it_is_unknown():
    with pytest.raises(InvalidPolicyError, match="must have exactly one of the keys drift, every"):
        read_policy("model: f\ntriggers: [{weekday: mon}]\n", Kinds(trigger_kinds(), {}))
