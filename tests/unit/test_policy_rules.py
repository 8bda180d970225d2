"""What a policy may not say though each key is of its form, and what it should hear."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from mlreg.controller.domain.policy_advice import advice
from mlreg.controller.domain.policy_rules import Known, contradictions
from mlreg.controller.domain.specification import DEFAULT_GATES
from mlreg.controller.gates.kinds import read_gates
from mlreg.controller.services.policy_texts import complete, parse_policy
from mlreg.registry.domain.target_contract import TargetContract
from mlreg.registry.store.tables import Model

DAY = timedelta(days=1)
NOW = datetime(2013, 7, 1, tzinfo=UTC)
CONTRACT = TargetContract("binary", ("no", "yes"), "yes")
START = 'model: m\ntriggers: [{schedule: "0 3 * * *"}]\n'


def come_after(days):
    """Return how labels come that all take about so many days."""
    return lambda age: min(1.0, max(0.0, (age / DAY - days + 0.5)))


def read(text, task="binary"):
    policy = parse_policy(START + text)
    if "gates" in policy.model_fields_set:
        return policy
    return policy.model_copy(update={"gates": read_gates(DEFAULT_GATES.get(task, ()))})


def found(text, *, task="binary", delay=10 * DAY, share_come=None):
    known = Known(task, delay, share_come)
    return {
        ".".join(map(str, one.place)): one.problem
        for one in contradictions(read(text, task), known)
    }


def told(text, *, task="binary", delay=10 * DAY, share_come=None, champions=2):
    known = Known(task, delay, share_come, champions)
    return {
        ".".join(map(str, one.place)): one.problem for one in advice(read(text, task), known, NOW)
    }


def test_a_policy_of_defaults_contradicts_nothing():
    for task in ("binary", "regression", "multiclass", "ranking"):
        assert found("", task=task) == {}
    assert told("") == {}


@pytest.mark.parametrize(
    ("text", "place", "because"),
    [
        ("data: {train_window: 7d}", "data.train_window", "shorter than the evaluate_window"),
        ("data: {evaluate_window: 1d}", "data.evaluate_window", "can never give a verdict"),
        ("gates: [{champion: rmse}]", "gates.0.champion", "rmse is no metric of a binary model"),
        ("gates: [{champion: auc}, {baseline: prior, metric: mae}]", "gates.1.metric", "mae"),
        ("guards: [{metric: mae, worse_than_champion: 1}]", "guards.0.metric", "mae is no"),
        ("budget: {runs_per_day: 0}", "budget.runs_per_day", "no run would ever start"),
        ("budget: {train_seconds_per_week: 0.0}", "budget.train_seconds_per_week", "no run"),
        ("budget: {train_seconds_per_day: 0.5}", "budget.train_seconds_per_day", "no run"),
        ("gates: [{champion: auc, margin: 1}]", "gates.0.margin", "every challenger passes"),
        ("quiet_hours: {days: [sun], timezone: localtime}", "quiet_hours.timezone", "IANA"),
        ("data: {source: /rows.parquet, timezone: localtime}", "data.timezone", "IANA"),
        (
            "retrain: {lanes: {continue: {rounds: 50, max_trees: 40}}}",
            "retrain.lanes.continue.rounds",
            "50 trees at once are more than max_trees (40)",
        ),
        (
            "retrain: {rounds: 300, lanes: {continue: {max_trees: 310}}}",
            "retrain.lanes.continue.max_trees",
            "it would never be continued",
        ),
        (
            "retrain: {trainer: sklearn, estimator: sklearn.svm.SVC, lanes: {refit: {}}}",
            "retrain.lanes.refit",
            "sklearn.svm.SVC cannot do it; it has full",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_key_with_the_reason(text, place, because):
    problems = found(text)
    assert list(problems) == [place]
    assert because in problems[place]


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        ("{drift: null_share, above: 5}", "null_share lies between 0 and 1: it is never above 5"),
        ("{drift: domain_auc, below: 0}", "domain_auc lies between 0 and 1: it is never below 0"),
        ("{performance: auc, below: 70}", "auc lies between 0 and 1: it is always below 70"),
        (
            "{performance: log_loss, above: -1}",
            "log_loss lies at 0 or above: it is always above -1",
        ),
        ("{performance: brier, above: 1}", "brier lies between 0 and 1: it is never above 1"),
        ("{performance: log_loss, above: 0}", None),
        ("{performance: auc, below: 1}", None),
        ("{drift: wasserstein, above: 5}", None),
        ('{drift: "business:profit", below: -5}', None),
    ],
)
def test_a_border_beyond_which_everything_lies_or_nothing(trigger, problem):
    policy = parse_policy(f"model: m\ntriggers: [{trigger}]\n")
    assert [one.problem for one in contradictions(policy, Known("binary", DAY))] == (
        [] if problem is None else [problem]
    )


def test_a_metric_of_another_task_in_a_trigger():
    policy = parse_policy("model: m\ntriggers: [{performance: mae, drop: 1}]\n")
    (one,) = contradictions(policy, Known("binary", DAY))
    assert one.place == ("triggers", 0, "performance")
    assert list(contradictions(policy, Known("regression", DAY))) == []


def test_evaluating_before_labels_have_come_is_refused_once_that_is_known():
    text = "data: {evaluate_window: 3d, label_delay: 1d}"
    assert found(text) == {}
    assert found(text, share_come=come_after(2)) == {}
    problems = found(text, share_come=come_after(30))
    assert "by that age no labels of this model have come" in problems["data.evaluate_window"]


@pytest.mark.parametrize(
    ("text", "options", "place", "because"),
    [
        ("data: {label_delay: 11d}", {}, "data.label_delay", "longer than any label takes"),
        (
            "data: {label_delay: 4d}",
            {"share_come": come_after(1)},
            "data.label_delay",
            "half of 4d is enough for 99% of the labels",
        ),
        (
            "data: {label_delay: 2d}",
            {"share_come": come_after(2)},
            "data.label_delay",
            "only 50% of the labels have come by 2d",
        ),
        ("data: {evaluate_window: 3d, label_delay: 5d}", {}, "data.evaluate_window", "few days"),
        ("cooldown: 2d", {}, "cooldown", "most of them will start no run"),
        ("gates: []", {}, "gates", "no challenger is ever accepted"),
        (
            "guards: [{metric: brier, worse_than_champion: 0.1}]",
            {"champions": 1},
            "guards",
            "no previous champion",
        ),
        ("retrain: {rounds: 500}", {}, "retrain.rounds", "turns into full"),
        ("budget: {runs_per_day: 4, runs_per_week: 3}", {}, "budget.runs_per_day", "never reached"),
    ],
)
def test_what_is_hardly_meant_is_said_and_not_refused(text, options, place, because):
    heard = told(text, **options)
    assert list(heard) == [place]
    assert because in heard[place]
    options.pop("champions", None)
    assert found(text, **options) == {}


def test_what_a_model_fills_in_was_not_said_and_is_not_advised_on():
    model = Model(name="m", task="binary", target_contract=CONTRACT.to_json())
    policy = complete(parse_policy(START), model)
    assert (policy.data.label_delay, len(policy.gates)) == (DAY, 2)
    known = Known("binary", DAY, come_after(0), champions=2)
    assert list(advice(policy, known, NOW)) == []


def test_a_cooldown_is_measured_against_due_times_only():
    windows = "model: m\ntriggers: [{labelled_rows: 5}]\ncooldown: 9d\n"
    assert list(advice(parse_policy(windows), Known("binary", DAY, champions=2), NOW))[1:] == []


@pytest.mark.parametrize(
    ("triggers", "combine", "warned"),
    [
        ("{schedule: 0 3 1 * *}, {schedule: 0 3 15 * *}", "all", True),
        ("{schedule: 0 3 1 * *}, {schedule: 0 3 8 * *}", "all", True),  # 7 days are not within 7
        ("{schedule: 0 3 1 * *}, {schedule: 0 2 8 * *}", "all", False),
        ("{schedule: 0 3 1 * *}, {schedule: 0 3 15 * *}", "any", False),
        ("{schedule: 0 3 1 * *}, {schedule: 0 3 1,15 * *}", "all", False),
        ("{schedule: 0 3 * * 1}, {schedule: 0 3 * * 3}", "{at_least: 2, within: 1d}", True),
        ("{schedule: 0 3 * * 1}, {schedule: 0 3 * * 3}", "{at_least: 2, within: 3d}", False),
        ("{schedule: 0 3 * * 1}, {every: 1m}", "{at_least: 2, within: 1d}", False),
        ("{schedule: 0 3 1 * *}, {schedule: 0 3 15 * *}, {labelled_rows: 9}", "all", True),
        (
            "{schedule: 0 3 1 * *}, {schedule: 0 3 15 * *}, {labelled_rows: 9}",
            "{at_least: 2}",
            False,
        ),
    ],
)
def test_it_is_said_that_times_never_meet(triggers, combine, warned):
    quoted = re.sub(r"schedule: ([^}]*)", r'schedule: "\1"', triggers)
    policy = parse_policy(f"model: m\ntriggers: [{quoted}]\ncombine: {combine}\n")
    told = advice(policy, Known("binary", DAY, champions=2), NOW)
    said = [one.problem for one in told if one.place == ("combine",)]
    assert bool(said) == warned
    assert all("triggers never hold together in the next 400 days" in one for one in said)
