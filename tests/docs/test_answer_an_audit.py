"""Every command of the page on audits, on a real `mlreg up` with one trained version."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq

from mlreg.registry.store.clock import SystemClock
from tests.docs.test_readme import ROOT, commands
from tests.feedback_makers import FEATURES
from tests.run_makers import DAY, stream

MODEL = "audited"
PAGE = (ROOT / "docs" / "how-to" / "answer-an-audit.md").read_text().replace("flights", MODEL)
RETRAIN = (
    *("retrain", MODEL, "--train-window", "20d", "--evaluate-window", "10d"),
    *("--label-delay", "1d", "--param", "objective=binary", "--rounds", "10", "--wait"),
)


def log_rows(mlreg, folder):
    today = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
    for kind, rows in zip(
        ("predictions", "labels"), stream(today - 33 * DAY, 32, rows_a_day=100), strict=True
    ):
        path = folder / f"{kind}.parquet"
        pq.write_table(rows, path)
        mlreg.cli("log", kind, MODEL, str(path))


def test_every_command_of_the_page(mlreg, tmp_path):
    features = tmp_path / "features.json"
    features.write_text(json.dumps(FEATURES))
    described = ("--task", "binary", "--features", str(features), "--max-label-delay", "2d")
    mlreg.cli("model", "create", MODEL, *described)
    log_rows(mlreg, tmp_path)
    mlreg.cli(*RETRAIN)
    mlreg.cli("promote", MODEL, "1")
    for line in commands(PAGE):
        words = line.split()
        assert words[0] == "mlreg"
        words = [re.sub(r"^2026-03-01T12:00$", _now(), word) for word in words[1:]]
        done = mlreg.cli(*words, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert "attested    reproduce: identical" in mlreg.cli("version", "show", f"{MODEL}/1").stdout
    assert (tmp_path / "events.jsonl").read_text().count("\n") >= 4
    lineage = json.loads(mlreg.cli("lineage", f"{MODEL}/1", "--upstream", "--json").stdout)
    segment = next(node for node in lineage["nodes"] if node["kind"] == "segment")
    live = mlreg.cli("lineage", f"segment:{segment['name']}", "--live")
    assert live.stdout.splitlines()[1].startswith(f"{MODEL}/1  production  full")


def _now():
    return f"{SystemClock().now():%Y-%m-%dT%H:%M:%S}"
