"""The page about trainers of one's own is about a program that trains."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mlreg.controller.domain.commands import FORM, TrainerCommand
from mlreg.controller.services.policies import parse_policy
from mlreg.controller.services.trainer_commands import seal
from mlreg.controller.trainers.child import train
from tests.integration.training_folder import make_rows, read_result, train_job

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "bring-your-own-trainer.md").read_text()
REFERENCE = (DOCS / "reference" / "trainers.md").read_text()


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_program_of_the_page_trains_and_scores(tmp_path):
    program = tmp_path / "linear.py"
    program.write_text(blocks("python")[0])
    declared = yaml.safe_load(blocks("yaml")[0])["linear"]
    words = [sys.executable, str(program)]
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy")
    form = {**declared, "train": words, "predict": words, "lock": str(lock)}
    command = FORM.validate_python({"linear": form})["linear"]
    rule = parse_policy(blocks("yaml")[1]).retrain
    folder = train_job(
        tmp_path / "job",
        make_rows(days=2),
        trainer="command",
        command=seal("linear", command).model_dump(mode="json"),
        params=dict(rule.params),
        rounds=rule.rounds,
    )
    train(folder)
    assert read_result(folder)["outcome"] == "trained", read_result(folder)
    weights = json.loads((folder / "out" / "artifact" / "weights.json").read_text())
    assert np.isfinite(weights).all()


def test_every_key_of_a_declaration_is_named():
    for name in TrainerCommand.model_fields:
        assert f"`{name}`" in REFERENCE, name


@pytest.mark.parametrize("row", re.findall(r"^\| `(\{.*?\})` \|", REFERENCE, re.MULTILINE))
def test_every_step_of_the_page_is_one(row):
    policy = "model: flights\ntriggers: [{labelled_rows: 1}]\nretrain: {steps: [%s]}\n"
    assert len(parse_policy(policy % row).retrain.steps) == 1
