"""Policies that contradict themselves or their model: each refused with line, key and reason."""

from datetime import UTC, datetime, timedelta

import pytest
from lightgbm.basic import _ConfigAliases

from mlreg.controller.domain.lightgbm_names import MAIN_NAMES
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.policy_rules import Known
from mlreg.controller.domain.selection_rules import rows_ahead
from mlreg.controller.services.policy_checks import check_policy
from mlreg.controller.services.policy_texts import complete, parse_policy
from mlreg.registry.store.tables import Model

FEATURES = [
    {"name": "temp", "dtype": "float"},
    {"name": "wind", "dtype": "int"},
    {"name": "late", "dtype": "bool"},
    {"name": "carrier", "dtype": "category"},
    {"name": "origin", "dtype": "category", "categories": ["JFK", "EWR"]},
]
TARGETS = {
    "binary": {"task": "binary", "classes": ["no", "yes"], "positive_class": "yes"},
    "multiclass": {"task": "multiclass", "classes": ["a", "b", "c"]},
    "regression": {"task": "regression"},
}


def problems_of(text, task="binary"):
    trigger = "" if "triggers:" in text else "triggers: [{labelled_rows: 500}]\n"
    text = f"model: flights\n{trigger}{text}\n"
    target = {"max_label_delay_seconds": 172_800, **TARGETS[task]}
    model = Model(name="flights", task=task, feature_schema=FEATURES, target_contract=target)
    try:
        policy = complete(parse_policy(text), model)
        check_policy(text, policy, model, Known(task, timedelta(days=2)))
    except InvalidPolicyError as error:
        return error.problems
    return ()


def steps(step):
    return f"retrain: {{steps: [{step}]}}"


STEPS = [
    ("{noise: [carrier], sigma: 1}", "names 'carrier', which is category and no number"),
    ("{noise: [temp, late], sigma: 1}", "names 'late', which is bool and no number"),
    ("{noise: [], sigma: 1}", "has no number to change"),
    ("{subsample: 0.5, where: {label: 7}}", "asks for the label 7, and labels are 0 to 1"),
    ("{subsample: 0.5, where: {label: [0, 0.5]}}", "asks for the label 0.5, and labels are 0 to 1"),
    ('{subsample: 0.5, where: {label: "yes"}}', "asks for the label 'yes'; labels are numbers"),
    ("{upsample: 3, where: {origin: LGA}}", "asks for origin: 'LGA', no category of it"),
    ("{upsample: 3, where: {temp: hot}}", "asks for temp: 'hot', and that feature is float"),
    ("{upsample: 3, where: {late: 2}}", "asks for late: 2, and it is bool"),
    ("{upsample: 3, where: {wind: 2.5}}", "asks for wind: 2.5, and it is int"),
    ("{upsample: 3, where: {origin: []}}", "asks for origin: [], which no row has"),
    ('{class_weights: {"7": 3}}', "names the label '7', and labels are 0 to 1"),
    ("{class_weights: {}}", "names no label: nothing would be weighed"),
    (
        "{hashed: [carrier]}, {hashed: [origin, carrier]}",
        "'carrier' has its buckets already, of an earlier step",
    ),
]


@pytest.mark.parametrize(("step", "problem"), STEPS)
def test_a_step_that_could_never_do_anything_is_refused_before_there_are_rows(step, problem):
    (found,) = problems_of(steps(step))
    assert found.startswith("line 3: retrain.steps[")
    assert found.endswith(problem)


NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"
PARAMETERS = [
    ("params: {learning_rte: 1}", "params.learning_rte", "did you mean learning_rate?"),
    ("params: {n_estimators: 9}", "params.n_estimators", "set by mlreg itself; say retrain.rounds"),
    ("params: {random_state: 4}", "params.random_state", "set by mlreg itself; say retrain.seed"),
    ("params: {device: gpu}", "params.device", "is set by mlreg itself"),
    ("params: {objective: binary, loss: binary}", "params.loss", "is objective by another name"),
    ("search: {params: {nthread: [1, 2]}}", "search.params.nthread", "is set by mlreg itself"),
    (
        "params: {num_leaves: 9}, search: {params: {max_leaf: [3, 9]}}",
        "search.params.max_leaf",
        "is num_leaves by another name",
    ),
    (
        "search: {params: {objective: [binary, poisson]}}",
        "search.params.objective",
        "must be one of binary for a binary model",
    ),
    (
        "trainer: sklearn, estimator: sklearn.svm.SVC, params: {probability: true, verbose: 1}",
        "params.verbose",
        "is set by mlreg itself",
    ),
    ("trainer: sklearn, estimator: os.system", "estimator", "a public class of scikit-learn"),
    (
        "trainer: sklearn, estimator: sklearn.linear_model.SGDRegressor",
        "estimator",
        "SGDRegressor makes no binary models",
    ),
    (
        "trainer: sklearn, estimator: sklearn.calibration.CalibratedClassifierCV",
        "estimator",
        "CalibratedClassifierCV holds what cannot be stored safely",
    ),
    (
        "trainer: sklearn, estimator: sklearn.ensemble.VotingClassifier",
        "estimator",
        "VotingClassifier is made of other estimators, which no policy can spell",
    ),
    (
        "trainer: sklearn, estimator: sklearn.svm.LinearSVC",
        "estimator",
        "LinearSVC gives no probabilities",
    ),
    (
        "trainer: sklearn, estimator: sklearn.linear_model.SGDClassifier",
        "estimator",
        "gives probabilities only with loss: log_loss or loss: modified_huber",
    ),
    (
        f"trainer: sklearn, estimator: {NEIGHBOURS}, params: {{algorithm: kd_tree}}",
        "estimator",
        "keeps trees that cannot be stored safely; say algorithm: brute",
    ),
]


@pytest.mark.parametrize(("keys", "place", "problem"), PARAMETERS)
def test_a_parameter_that_every_run_would_refuse_is_refused_at_once(keys, place, problem):
    (found,) = problems_of(f"retrain: {{{keys}}}")
    assert found.startswith(f"line 3: retrain.{place}: ")
    assert found.endswith(problem)


def test_parameters_by_any_of_their_names_are_taken():
    assert problems_of("retrain: {params: {eta: 0.1}, search: {params: {max_leaf: [3, 9]}}}") == ()
    forest = "trainer: sklearn, estimator: sklearn.ensemble.RandomForestClassifier"
    assert problems_of(f"retrain: {{{forest}, params: {{n_estimators: 50}}}}") == ()
    linear = "trainer: sklearn, estimator: sklearn.linear_model.SGDClassifier"
    searched = "search: {params: {loss: [log_loss, modified_huber]}}"
    assert problems_of(f"retrain: {{{linear}, {searched}}}") == ()


ROWS = [
    ("data: {select: {sliding: 2d}}", "select.sliding", "than the evaluate_window of 14d"),
    ("data: {select: {half_life: 5m}}", "select.half_life", "of a day, none would count"),
    (
        "data: {select: {since_change: 500, half_life: 5m}}",
        "select.half_life",
        "of a day, none would count",
    ),
    ("data: {select: {since_change: 500, give_up: 6h}}", "select.give_up", "tells of any row"),
    ("data: {select: {seasonal: 365d, width: 5m}}", "select.width", "rows are taken by hours"),
    (
        "data: {select: {seasonal: 36500d, width: 18000d, turns: 20}}",
        "select.turns",
        "they go back 2,049 years; at most 100",
    ),
    ("data: {select: {stratified: [temp], least: 5}}", "select", "each row would be a slice"),
    ("data: {window: 3650d}", "window", "at most 366d: a trigger looks at many windows"),
]


@pytest.mark.parametrize(("text", "place", "problem"), ROWS)
def test_rows_that_would_be_none_are_refused(text, place, problem):
    (found,) = problems_of(text)
    assert found.startswith(f"line 3: data.{place}: ")
    assert found.endswith(problem)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ("label: temp", "column 'temp' is the label, and the feature 'temp' too"),
        ("features: {temp: label}", "column 'label' is the label, and the feature 'temp' too"),
        ("label: at, time: at", "column 'at' is the label, and the time too"),
        ("weight: label", "column 'label' is the label, and the weight too"),
    ],
)
def test_no_model_learns_its_own_answer(keys, what):
    (found,) = problems_of(f"data: {{source: /rows.parquet, {keys}}}")
    assert found == f"line 3: data.label: {what}"
    assert problems_of("data: {source: /rows.parquet, label: y, features: {temp: t}}") == ()


def test_each_label_of_a_regression_would_be_a_slice():
    text = "data: {select: {stratified: [label, wind], least: 5}}"
    assert problems_of(text) == ()
    (found,) = problems_of(text, "regression")
    assert found.startswith("line 3: data.select: 'label' is a number of any value")


def test_a_moment_that_lies_ahead_is_told():
    for select in ("expanding: '2013-08-01T00:00:00Z'", "reservoir: 100, since: 2013-08-01T00:00Z"):
        data = parse_policy(
            f"model: m\ntriggers: [{{every: 1d}}]\ndata: {{select: {{{select}}}}}\n"
        )
        for month, count in ((7, 1), (9, 0)):
            assert len(list(rows_ahead(data.data, datetime(2013, month, 1, tzinfo=UTC)))) == count


@pytest.mark.parametrize(
    ("monitor", "features", "problem"),
    [
        ("ks", "[carrier]", "'carrier' is category, and ks is of float and int"),
        ("wasserstein", "[temp, late]", "'late' is bool, and wasserstein is of float and int"),
        ("cramers_v", "[temp]", "'temp' is float, and cramers_v is of bool and category"),
        ("unseen_share", "[wind]", "'wind' is int, and unseen_share is of category"),
    ],
)
def test_drift_that_is_never_measured_is_refused(monitor, features, problem):
    trigger = f"triggers: [{{drift: {monitor}, above: 0.1, features: {features}}}]"
    assert problems_of(trigger) == (f"line 2: triggers[0]: {problem}",)
    assert problems_of("triggers: [{drift: psi, above: 0.1, features: [temp, carrier]}]") == ()
    (found,) = problems_of("triggers: [{drift: jensen_shannon, above: 3}]")
    assert found.endswith("jensen_shannon lies between 0 and 1: it is never above 3")


def test_an_executor_that_nobody_has_is_refused():
    known = "there are local, ray, kubernetes"
    for keys in ("mars", "{kind: mars, cpus: 2}"):
        found = problems_of(f"retrain: {{executor: {keys}}}")
        assert found == (f"line 3: retrain.executor: there is no executor 'mars'; {known}",)
    assert problems_of("retrain: {executor: kubernetes}") == ()


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        ("{performance: auc, drop: 2.5}", "the skill by auc never drops by more than 2"),
        (
            "{performance: accuracy, drop: 1.1, against: history}",
            "accuracy never drops by more than 1",
        ),
    ],
)
def test_a_drop_that_never_comes_is_refused(trigger, problem):
    assert problems_of(f"triggers: [{trigger}]") == (f"line 2: triggers[0].drop: {problem}",)
    assert problems_of("triggers: [{performance: auc, drop: 2}]") == ()
    assert problems_of("triggers: [{performance: log_loss, drop: 2.5}]") == ()


def test_a_guard_whose_watch_is_over_before_it_can_judge_is_refused():
    guard = "guards: [{{metric: log_loss, worse_than_champion: 0.01, watch: {}}}]"
    (found,) = problems_of(guard.format("1s"))
    assert found == (
        "line 3: guards[0].watch: 1s is too short: a guard needs rows of 2 days, so 1d or more"
    )
    assert problems_of(guard.format("24h")) == ()


def test_what_expands_is_told_all_that_it_may_be():
    place = "line 3: data.select.expanding: "
    (found,) = problems_of("data: {select: {expanding: yesterday}}")
    assert found == f"{place}must be all, or a moment such as 2013-01-01T00:00:00Z"
    (found,) = problems_of("data: {select: {expanding: '2013-01-01'}}")
    assert found.startswith(f"{place}must be a valid datetime")


def test_half_a_window_has_to_give_a_verdict_where_the_other_half_looks_back():
    (found,) = problems_of("memory: {versions: 5}\ndata: {evaluate_window: 3d}")
    assert found.startswith("line 3: memory: the newer half of the evaluate_window judges")
    assert problems_of("memory: {versions: 5}\ndata: {evaluate_window: 4d}") == ()


def test_the_names_of_lightgbm_are_those_that_are_installed():
    there = _ConfigAliases._get_all_param_aliases()
    assert {name: main for main, names in there.items() for name in (main, *names)} == MAIN_NAMES


def test_what_the_task_allows_is_allowed():
    assert problems_of(steps("{class_weights: {'2': 3}}"), "multiclass") == ()
    assert problems_of(steps("{subsample: 0.5, where: {label: 17.5}}"), "regression") == ()
    assert problems_of(steps("{upsample: 2, where: {carrier: ZZ, late: true, wind: 3.0}}")) == ()
    (found,) = problems_of(steps("{class_weights: balanced}"), "regression")
    assert "balances classes, and a regression has none" in found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data: {select: {since_change: 500, judge_share: 2}}", "data.select.judge_share"),
        ("data: {select: {seasonal: 2d}}", "data.select"),
        ("retrain: {steps: [{noise: all, sigma: 0}]}", "retrain.steps[0].sigma"),
        ("retrain: {search: {params: {eta: [1, 1]}}}", "retrain.search.params.eta"),
        ("retrain: {search: {params: {eta: {low: 1}}}}", "retrain.search.params.eta.high"),
    ],
)
def test_a_place_is_spelt_as_the_file_has_it(text, place):
    (found,) = problems_of(text)
    assert found.startswith(f"line 3: {place}: ")
