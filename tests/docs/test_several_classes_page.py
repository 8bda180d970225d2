"""The page about several classes and rankings: models, rows and policies that are taken."""

import json
import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import yaml

from mlreg.controller.domain.policy_rules import Known, contradictions
from mlreg.controller.domain.starter import Subject, starter
from mlreg.controller.feedback.rows import checked_rows, rules_of
from mlreg.controller.feedback.schemas import MOMENT, batch_schema
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.registry.domain.contracts import FeatureSchema
from mlreg.registry.store.tables import Model
from tests.docs.test_readme import ROOT

PAGE = (ROOT / "docs" / "how-to" / "several-classes-and-rankings.md").read_text()
CLASSES, RANKINGS = PAGE.split("\n## Rankings\n")
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def blocks(text, kind):
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize(("text", "task"), [(CLASSES, "multiclass"), (RANKINGS, "ranking")])
def test_the_policy_contradicts_nothing_and_the_features_are_read(text, task):
    (policy,) = blocks(text, "yaml policy")
    assert list(contradictions(parse_policy(policy), Known(task, timedelta(days=1)))) == []
    (features,) = blocks(text, "yaml features.yaml")
    assert FeatureSchema.from_json(yaml.safe_load(features)).names
    (command,) = blocks(text, "bash")
    assert command.startswith("mlreg model create")


def test_the_rows_are_taken():
    (rows,) = blocks(CLASSES, "json")
    (features,) = blocks(CLASSES, "yaml features.yaml")
    model = Model(
        name="animals",
        task="multiclass",
        last_version=1,
        target_contract={"classes": ["cat", "dog", "fox"]},
        feature_schema=yaml.safe_load(features),
    )
    for kind, line in zip(("predictions", "labels"), rows.splitlines(), strict=True):
        row = json.loads(line)
        row["time"] = pa.array([datetime.fromisoformat(row["time"])], MOMENT)
        table = pa.table({name: one if name == "time" else [one] for name, one in row.items()})
        rules = rules_of(model, batch_schema(model, kind), NOW)
        assert checked_rows(table, rules).num_rows == 1


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_what_a_first_policy_shows_can_be_said(task):
    text = starter(Subject("m", "production", task, timedelta(days=1), categories=["kind"]))
    shown = re.findall(
        r"^ *# *(- \{(?:performance|champion|baseline|slices).*?\}) *(?:#.*)?$", text, re.MULTILINE
    )
    assert len(shown) == 4, text
    (guards,) = re.findall(r"^# (guards: .*?\])", text, re.MULTILINE)
    kinds = {"triggers": shown[:1], "gates": shown[1:]}
    said = "".join(f"{key}:\n" + "".join(f"  {one}\n" for one in kinds[key]) for key in kinds)
    policy = parse_policy(f"model: m\n{said}{guards}\n")
    assert list(contradictions(policy, Known(task, timedelta(days=1)))) == []


@pytest.mark.parametrize(
    ("gate", "task", "because"),
    [
        ("{slices: [label], metric: auc}", "binary", "rows of one class have no auc"),
        ("{slices: [label], metric: ndcg}", "ranking", "no classes, so it cannot be cut by label"),
        ("{champion: auc}", "multiclass", "auc is no metric of a multiclass model"),
        ("{champion: log_loss}", "ranking", "there are ndcg, map, mrr"),
    ],
)
def test_gates_of_another_task_are_refused(gate, task, because):
    text = f"model: m\ntriggers: [{{schedule: '0 3 * * 1'}}]\ngates: [{gate}]\n"
    (found,) = contradictions(parse_policy(text), Known(task, timedelta(days=1)))
    assert because in found.problem
