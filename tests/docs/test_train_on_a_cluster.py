"""The how-tos on Ray and Kubernetes: what they have you write is read by what reads it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from mlreg.cli.executors import ExecutorsFile
from mlreg.cli.settings import Settings
from mlreg.controller.domain.executor_rule import Executing

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["train-on-ray.md", "train-on-kubernetes.md"]


def blocks(page, language):
    text = (ROOT / "docs/how-to" / page).read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_on_the_page_is_one(page):
    kinds = []
    for block in blocks(page, "yaml"):
        document = yaml.safe_load(block)
        if "model" in document:
            TypeAdapter(Executing).validate_python(document["retrain"]["executor"])
            kinds.append("policy")
        else:
            ExecutorsFile.model_validate(document)
            kinds.append("executors")
    assert set(kinds) == {"policy", "executors"}


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_on_the_page_is_a_setting(page):
    text = (ROOT / "docs/how-to" / page).read_text()
    named = set(re.findall(r"MLREG_[A-Z0-9_]+[A-Z0-9]", text)) - {"MLREG_S3"}
    known = {f"MLREG_{name.upper()}" for name in Settings.model_fields}
    assert named
    assert named <= known


def test_what_is_deployed_lets_a_worker_do_what_it_does_and_no_more():
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/training.yaml").read_text())
    by_kind = {document["kind"]: document for document in documents}
    rules = {
        resource: set(rule["verbs"])
        for rule in by_kind["Role"]["rules"]
        for resource in rule["resources"]
    }
    assert rules == {
        "jobs": {"create", "get", "list", "delete"},
        "pods": {"get", "list"},
        "pods/log": {"get"},
    }
