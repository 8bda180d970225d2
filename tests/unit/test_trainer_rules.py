"""What a policy may say of trainers, and what it is told at once."""

from __future__ import annotations

import pytest

from mlreg.cli.settings import SettingsError
from mlreg.cli.trainer_commands import read_commands
from mlreg.controller.domain.commands import (
    FORM,
    CommandNotAllowedError,
    CommandNotFoundError,
    Commands,
)
from mlreg.controller.domain.objectives import OBJECTIVES, objective_problem
from mlreg.controller.domain.policy_file import InvalidPolicyError
from mlreg.controller.domain.trainer_kinds import PARTIAL_FIT, lanes_of
from mlreg.controller.services import policy_checks
from mlreg.controller.services.policies import parse_policy
from mlreg.registry.store.tables import Model

START = """\
model: flights
triggers: [{labelled_rows: 100}]
retrain:
"""


def read(*lines):
    return parse_policy(START + "".join(f"  {line}\n" for line in lines)).retrain


def problem(*lines):
    with pytest.raises(InvalidPolicyError) as caught:
        read(*lines)
    return str(caught.value)


def test_a_policy_declares_an_estimator_steps_and_limits():
    rule = read(
        "trainer: sklearn",
        "estimator: sklearn.linear_model.SGDClassifier",
        "preparation: {impute: mean, categories: codes}",
        "steps: [{noise: all, sigma: 0.1}, {class_weights: balanced}]",
        "limits: {wall: 10m, memory: 2GiB}",
    )
    assert [step.kind for step in rule.steps] == ["noise", "class_weights"]
    assert (rule.limits.memory, rule.limits.disk) == (2 * 2**30, 4 * 2**30)
    assert rule.model_dump(mode="json")["limits"]["memory"] == "2GiB"
    assert type(rule).model_validate(rule.model_dump(mode="json", by_alias=True)) == rule


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["trainer: sklearn"], "trainer sklearn needs `estimator`"),
        (["estimator: sklearn.x.Y"], "only the trainer sklearn has `estimator`"),
        (["trainer: command"], "trainer command needs `command`"),
        (["command: xgboost"], "only the trainer command has `command`"),
        (["preparation: {scale: false}"], "only the trainer sklearn has `preparation`"),
        (["trainer: command", "command: [/bin/sh, -c, id]"], "line 5: retrain.command"),
        (["steps: [{shuffle: true}]"], "line 4: retrain.steps[0]: must have exactly one of"),
        (["steps: [{noise: all, sigma: -1}]"], "line 4: retrain.steps[0]"),
        (["steps: [{upsample: 3, where: {label: 1}, shre: 2}]"], "unknown key"),
        (["limits: {memory: 2 GB}"], "line 4: retrain.limits.memory: a size is a whole number"),
        (["limits: {wall: 30d}"], "line 4: retrain.limits.wall: must be 1s to 7d"),
    ],
)
def test_an_error_names_line_and_key(lines, said):
    assert said in problem(*lines)


def test_objectives_of_another_task_are_known_without_lightgbm():
    assert objective_problem("binary", {"objective": "binary"}) is None
    assert objective_problem("binary", {}) is None
    assert objective_problem("ranking", {"loss": "lambdarank"}) is None
    for task in OBJECTIVES:
        assert "must be one of" in objective_problem(task, {"app": "poisson2"})
    assert "for a regression model" in objective_problem("regression", {"objective": "binary"})


def test_the_lanes_of_each_kind():
    assert lanes_of("lightgbm", None) == {"full", "continue", "refit"}
    assert lanes_of("sklearn", "sklearn.linear_model.SGDClassifier") == {"full", "continue"}
    assert lanes_of("sklearn", "sklearn.ensemble.RandomForestClassifier") == {"full"}
    assert lanes_of("command", None, ("continue",)) == {"full", "continue"}


@pytest.mark.nightly
def test_the_estimators_that_go_on_are_those_of_scikit_learn():
    import warnings

    from sklearn.utils import all_estimators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = all_estimators(["classifier", "regressor"])
    of_others = {"OneVsOneClassifier", "OneVsRestClassifier", "MultiOutputClassifier"}
    of_others.add("MultiOutputRegressor")  # made of an estimator, which no policy can spell
    going_on = {name for name, kind in found if hasattr(kind, "partial_fit")}
    assert going_on - of_others == PARTIAL_FIT


def test_a_command_is_what_its_operator_declared():
    found = FORM.validate_python(
        {"xgb": {"train": ["/a/python", "t.py"], "predict": ["/a/p"], "models": ["flights"]}}
    )
    commands = Commands(found)
    assert commands.get("xgb", "flights").lanes == ("full",)
    with pytest.raises(CommandNotAllowedError, match="not declared for model 'churn'"):
        commands.get("xgb", "churn")
    with pytest.raises(CommandNotFoundError):
        commands.get("rm", "flights")


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": ["python", "t.py"], "predict": ["/a"]},
        {"train": ["/a/../../bin/sh"], "predict": ["/a"]},
        {"train": [], "predict": ["/a"]},
        {"train": ["/a"]},
        {"train": ["/a"], "predict": ["/a"], "shell": True},
    ],
)
def test_what_is_no_command(wrong):
    with pytest.raises(ValueError, match="x"):
        FORM.validate_python({"x": wrong})


@pytest.mark.parametrize(
    ("task", "lines", "said"),
    [
        ("regression", ["params: {objective: binary}"], "must be one of"),
        ("binary", ["trainer: forest"], "there is no trainer 'forest'"),
        ("binary", ["steps: [{noise: [rain], sigma: 1}]"], "model 'flights' has no feature 'rain'"),
        ("binary", ["steps: [{hashed: [temp]}]"], "names 'temp', which is float and no category"),
        ("ranking", ["trainer: sklearn", "estimator: sklearn.a.B"], "makes no ranking models"),
    ],
)
def test_what_a_run_would_refuse_is_refused_when_the_policy_is_applied(task, lines, said):
    policy = parse_policy(START + "".join(f"  {line}\n" for line in lines))
    features = [{"name": "temp", "dtype": "float"}]
    target = {"task": task, "group_key": "query" if task == "ranking" else None}
    model = Model(name="flights", task=task, feature_schema=features, target_contract=target)
    found = [*policy_checks._of_columns(policy, model), *policy_checks._of_trainer(policy, model)]
    assert [said in one.problem for one in found] == [True]


def test_the_file_of_commands_is_as_private_as_the_programs(tmp_path):
    file = tmp_path / "commands.yaml"
    file.write_text("xgb: {train: [/a], predict: [/a]}")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="others may read it"):
        read_commands(file)
    file.chmod(0o600)
    assert read_commands(file).find("xgb").train == ("/a",)
    assert read_commands(None).by_name == {}
    file.write_text("xgb: {train: [sh]}")
    with pytest.raises(SettingsError, match="must be an absolute path"):
        read_commands(file)
