"""The pages on invariants and parity: every example can be applied, every command does its work."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlreg.client.scoring.encoding import encode
from mlreg.client.wire.models import FeatureForm, ModelRequest, TargetForm
from mlreg.client.wire.versions import ProvenanceForm, VersionRequest
from mlreg.controller.domain.invariants.file import columns_of, read_invariants
from mlreg.controller.domain.invariants.kinds import OURS
from mlreg.controller.trainers.child import train
from mlreg.registry.domain.contracts import FeatureSchema
from tests.docs.test_readme import ROOT, blocks

REFERENCE = (ROOT / "docs" / "reference" / "invariants.md").read_text()
DECLARE, PARITY = (
    (ROOT / "docs" / "how-to" / name).read_text()
    for name in ("declare-invariants.md", "check-parity.md")
)
DAY = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = [
    *({"name": name, "dtype": "float"} for name in ("distance", "speed", "hours", "load")),
    *({"name": name, "dtype": "int"} for name in ("odometer", "ticket", "begin", "end")),
    {"name": "carrier", "dtype": "category", "categories": ["AA", "DL", "UA"]},
]
ALLOWED = ["git", "data", "hyperparameters", "seeds", "environment", "trainer", "lane"]


@pytest.mark.parametrize("page", [REFERENCE, DECLARE], ids=["reference", "how-to"])
def test_every_example_can_be_applied(page):
    (example,) = blocks(page, "yaml")
    read_invariants(example).check_columns(columns_of(FeatureSchema.from_json(SCHEMA)))


def test_every_kind_and_key_is_named():
    for kind in OURS:
        for name in kind.model_fields:
            assert f"`{name}`" in REFERENCE, f"{kind.__name__}.{name}"


def made_rows(count=200):
    rng = np.random.default_rng(1)
    speed, hours = rng.uniform(5, 100, count), rng.uniform(0.2, 2, count)
    distance = speed * hours
    distance[:3] = -1.0
    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "prediction_id": [f"ride-{number}" for number in range(count)],
            "time": pa.array(
                [DAY + number * timedelta(minutes=5) for number in range(count)], moment
            ),
            "entity": [f"car-{number % 9}" for number in range(count)],
            "distance": distance,
            "speed": speed,
            "hours": hours,
            "load": rng.normal(1, 0.2, count),
            "odometer": np.arange(count),
            "ticket": np.arange(count),
            "begin": np.arange(count),
            "end": np.arange(count) + 1,
            "carrier": rng.choice(["AA", "DL", "UA"], count),
        }
    )


@pytest.fixture
def taxis(mlreg, tmp_path):
    """A champion that was served well, and a file of its features that differ."""
    rows = made_rows()
    labels = pa.array((rows["speed"].to_numpy() > 50).astype(float))
    pq.write_table(rows.append_column("label", labels), tmp_path / "rows.parquet")
    job = {
        "data": ["rows.parquet"],
        "target": {"task": "binary"},
        "schema": SCHEMA,
        "params": {"num_leaves": 7, "min_data_in_leaf": 10},
        "rounds": 10,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    train(tmp_path)
    contract = json.loads((tmp_path / "result.json").read_text())["contract"]
    forms = [FeatureForm(**form) for form in contract["features"]]

    def request(files):
        provenance = ProvenanceForm(contract=forms)
        return VersionRequest(files=files, provenance=provenance, allow_missing=ALLOWED)

    with mlreg.client() as client:
        features = [FeatureForm(**form) for form in SCHEMA]
        target = TargetForm(task="binary")
        client.models.create(ModelRequest(name="taxis", target=target, features=features))
        client.versions.register("taxis", tmp_path / "out", request)
        client.deployments.promote("taxis", 1)
    booster = lightgbm.Booster(model_file=str(tmp_path / "out" / "model.txt"))
    scores = pa.array(booster.predict(encode(contract, rows).matrix))
    logged = rows.append_column("score", scores)
    logged = logged.append_column("version", pa.array([1] * len(rows), pa.int32()))
    pq.write_table(logged, tmp_path / "log.parquet")
    mlreg.cli("log", "predictions", "taxis", "log.parquet", cwd=tmp_path)
    slower = rows["speed"].to_numpy() - 20
    offline = rows.select(["prediction_id", "load"]).append_column("speed", pa.array(slower))
    pq.write_table(offline, tmp_path / "features.parquet")
    (tmp_path / "invariants.yaml").write_text(blocks(DECLARE, "yaml")[0])
    return tmp_path


def test_every_command_of_the_pages(mlreg, taxis):
    said = {}
    for page in (DECLARE, PARITY):
        for line in [line for block in blocks(page, "bash") for line in block.splitlines()]:
            done = mlreg.cli(*shlex.split(line)[1:], check=False, cwd=taxis)
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            said[line] = done.stdout
    assert "distance > 0" in said["mlreg invariant list taxis"]
    assert said["mlreg invariant show taxis"] == blocks(DECLARE, "yaml")[0]
    replayed = said["mlreg parity taxis --window 2026-01-01 --wait"]
    assert "0 of 200 rows (0.00%) score differently" in replayed
    compared = said["mlreg parity taxis --window 2026-01-01 --offline features.parquet --wait"]
    assert "speed" in compared
    assert "100.00%" in compared
    listed = json.loads(mlreg.cli("snapshot", "list", "taxis", "--json").stdout)
    digest = listed["items"][0]["digest"]
    words = ["invariant", "check", "taxis", "--snapshot", digest, "--wait"]
    checked = mlreg.cli(*words, check=False)
    assert checked.returncode == 1
    assert {"ride-0", "ride-1", "ride-2"} <= set(checked.stdout.split())
    assert "a run would not train on these rows: distance-positive" in checked.stderr
