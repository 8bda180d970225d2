"""Every command of the page on logging, on a real `mlreg up`."""

from __future__ import annotations

import json
import shlex

from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from tests.docs.test_readme import ROOT, blocks

MODEL = "logged"
PAGE = (ROOT / "docs" / "how-to" / "log-predictions.md").read_text().replace("flights", MODEL)
PREDICTIONS = """prediction_id,time,score,entity,temp,carrier
a1,2026-01-01T00:00:00Z,0.4,customer-7,21.5,AA
a2,2026-01-01T01:00:00Z,0.6,customer-8,20.5,UA
"""
LABEL = {"prediction_id": "a1", "time": "2026-01-01T02:00:00Z", "label": 1}


def test_every_command_of_the_page(mlreg, tmp_path):
    features = [
        FeatureForm(name="temp", dtype="float"),
        FeatureForm(name="carrier", dtype="category"),
    ]
    with mlreg.client() as client:
        target = TargetForm(task="binary")
        client.models.create(ModelRequest(name=MODEL, target=target, features=features))
    (tmp_path / "predictions.csv").write_text(PREDICTIONS)
    (tmp_path / "labels.jsonl").write_text(json.dumps(LABEL) + "\n")
    for line in [line for block in blocks(PAGE, "bash") for line in block.splitlines()]:
        done = mlreg.cli(*shlex.split(line)[1:], check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    (example,) = blocks(PAGE, "python")
    with mlreg.client() as client:
        now = "2026-01-01T03:00:00Z"
        exec(example.replace('"version": 1, ', ""), {"client": client, "now": now})
    said = mlreg.cli(
        "log", "erase", MODEL, "--entity", "customer-8", "--reason", "r", "--wait", "--json"
    )
    assert json.loads(said.stdout)["predictions"] == 1
