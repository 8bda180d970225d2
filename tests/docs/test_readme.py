"""Every command of the README's first steps and of the tutorial, on a real `mlreg up`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.running import RunningMlreg

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
STEPS = README.partition("## First steps")[2].partition("\n## ")[0]
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-model.md").read_text()
SERVER = "mlreg up"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture
def place(tmp_path):
    """A running mlreg and a copy of the repository's examples, as a stranger has them."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "examples", folder / "examples")
    mlreg = RunningMlreg()
    mlreg.start()
    yield mlreg, folder
    mlreg.stop()


def run(mlreg, folder, command):
    """Run a line as a shell does, in a shell that remembers its folder."""
    environ = {
        **mlreg.environ,
        "MLREG_URL": mlreg.url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    remember = folder / ".folder"
    start = remember.read_text().strip() if remember.exists() else str(folder)
    script = f"cd '{start}' || exit 99\n{command}\ncode=$?\npwd > '{remember}'\nexit $code"
    return subprocess.run(
        ["bash", "-c", script], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("text", [STEPS, TUTORIAL], ids=["readme", "tutorial"])
def test_every_command_works_from_zero_to_rollback(place, text):
    mlreg, folder = place
    wanted = commands(text)
    assert wanted[0].startswith(SERVER)
    assert any(line.startswith("mlreg rollback") for line in wanted)
    for command in wanted[1:]:
        done = run(mlreg, folder, command)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    with mlreg.client() as client:
        states = client.deployments.status("churn")
        causes = [one.cause for one in client.deployments.history("churn")]
    assert [(one.champion, one.frozen) for one in states] == [(1, False)]
    assert causes[:3] == ["unfreeze", "rollback", "promote"]


def test_files_shown_are_the_files_of_the_example():
    example = ROOT / "examples" / "first-steps"
    assert blocks(STEPS, "yaml") == [(example / "policy.yaml").read_text()]
    assert blocks(STEPS, "python") == [(example / "serve.py").read_text()]


def test_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE))


def test_files_and_links_that_are_named_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
