"""The pipeline of `examples/ci`, run by a token of role `ci` against a real `mlreg up`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mlreg.cli.app import COMMANDS
from tests.servers.running import RunningMlreg

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ci"
HOW_TO = (ROOT / "docs" / "how-to" / "ci.md").read_text()
TODAY = datetime.now(UTC).date()
RANGE = [str(TODAY - timedelta(days=45)), str(TODAY - timedelta(days=15))]


@pytest.fixture(scope="module")
def running():
    mlreg = RunningMlreg()
    mlreg.start()
    yield mlreg
    mlreg.stop()


@pytest.fixture(scope="module")
def checkout(running, tmp_path_factory):
    """A repository with the example, and a model with two months of history."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    first = ROOT / "examples" / "first-steps"
    subprocess.run([sys.executable, first / "make_rows.py"], cwd=folder, check=True)
    git = ["git", "-c", "user.name=ci", "-c", "user.email=ci@example.com"]
    (folder / ".gitignore").write_text("*.csv\n*.json\n*.txt\n*.parquet\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "pipeline"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    cli = running.cli
    features = str(folder / "features.yaml")
    cli("model", "create", "churn", "--task=binary", f"--features={features}")
    cli("log", "predictions", "churn", str(folder / "history.csv"))
    cli("log", "labels", "churn", str(folder / "outcome.csv"))
    cli("policy", "apply", "-f", str(first / "policy.yaml"))
    return folder


@pytest.fixture(scope="module")
def token(running):
    words = ("--kind=service", "--role=ci", "--model=churn", "--days=1", "--json")
    return json.loads(running.cli("token", "create", "pipeline", *words).stdout)["token"]


def run(running, folder, token, *words):
    environ = {
        **running.environ,
        "MLREG_URL": running.url,
        "MLREG_TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        words, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def pipeline(running, checkout, token):
    return run(running, checkout, token, "sh", "pipeline.sh", "churn", *RANGE)


def test_it_promotes_what_is_good_and_refuses_what_is_spoilt(running, checkout, token):
    first = pipeline(running, checkout, token)
    assert first.returncode == 0, first.stderr
    with running.client() as client:
        version = client.versions.get("churn", 1)
        assert (version.created_by, version.missing) == ("pipeline", [])
        assert client.deployments.get("churn").champion == 1
    script = (checkout / "pipeline.sh").read_text()
    (checkout / "pipeline.sh").write_text(
        script.replace("train.py --seed", "train.py --spoil --seed")
    )
    second = pipeline(running, checkout, token)
    assert second.returncode == 1, second.stdout + second.stderr
    with running.client() as client:
        assert client.models.get("churn").last_version == 2
        assert client.deployments.get("churn").champion == 1


def test_its_token_can_neither_force_nor_approve_nor_read_others(running, checkout, token):
    def refusal(*words):
        return run(running, checkout, token, "mlreg", *words).returncode

    running.cli("model", "create", "other", "--task=binary", check=False)
    assert refusal("promote", "churn", "1", "--force", "--reason=now") == 4
    assert refusal("model", "show", "other") == 3
    assert refusal("model", "create", "third", "--task=binary") == 4
    assert refusal("rollback", "churn") == 4


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_workflows_call_the_pipeline_and_only_commands_that_exist(name):
    text = (EXAMPLE / name).read_text()
    assert isinstance(yaml.safe_load(text), dict)
    assert "pipeline.sh churn" in text
    scripts = text + (EXAMPLE / "pipeline.sh").read_text() + HOW_TO
    called = set(re.findall(r"(?:^|run: |- |`)\s*mlreg ([a-z]+)", scripts, flags=re.MULTILINE))
    assert {"snapshot", "evaluate", "promote", "version", "login"} <= called <= set(COMMANDS)
