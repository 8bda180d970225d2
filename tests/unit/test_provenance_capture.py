"""What the client takes from a working tree and from the machine."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version

import pytest

from mlreg.client.provenance import capture_environment, capture_git


@pytest.fixture
def git(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    return git


def test_no_working_tree_and_no_commit_say_nothing(git, tmp_path):
    assert capture_git(tmp_path) is None
    git("init", "-q")
    assert capture_git(tmp_path) is None
    assert capture_git(tmp_path / "nowhere") is None


def test_a_working_tree_says_commit_dirt_and_remote(git, tmp_path):
    git("init", "-q")
    (tmp_path / "train.py").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    clean = capture_git(tmp_path)
    assert (len(clean.commit), clean.dirty, clean.remote) == (40, False, None)
    git("remote", "add", "upstream", "https://anna:secret@example.org/r.git")
    assert capture_git(tmp_path).remote == "https://example.org/r.git"
    (tmp_path / "train.py").write_text("2")
    assert capture_git(tmp_path).dirty
    git("commit", "-q", "-a", "-m", "y")
    (tmp_path / "new.py").write_text("3")
    found = capture_git(tmp_path)
    assert found.dirty
    assert found.commit != clean.commit


def test_the_environment_lists_every_package_with_its_version():
    environment = capture_environment()
    assert environment.packages["pydantic"] == version("pydantic")
    assert environment.packages["typing-extensions"] == version("typing_extensions")
    assert environment.python.startswith("CPython 3.")
    assert environment.platform
    assert " x " in environment.cpu
