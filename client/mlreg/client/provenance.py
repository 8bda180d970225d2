"""What an auditor asks, taken from where the code runs: working tree, packages, machine.

Everything is captured at the moment of the call. Nothing leaves this machine but what `wire`
describes: a remote's user and password are cut off, environment variables are never read.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.client.wire.versions import EnvironmentForm, GitForm

if TYPE_CHECKING:
    from collections.abc import Sequence

GIT_SECONDS = 10
CHUNK_BYTES = 2**20
_USER_IN_URL = re.compile(r"(?<=://)[^/@]*@")


def capture_git(folder: Path | None = None) -> GitForm | None:
    """Return commit, dirty flag and remote of the working tree of a folder (default: here).

    Returns:
        None when git is not installed, the folder is in no working tree, or nothing is committed.
    """
    git = shutil.which("git")
    if git is None:
        return None
    place = Path.cwd() if folder is None else folder
    commit = _git(git, place, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changes = _git(git, place, "status", "--porcelain")
    return GitForm(commit=commit, dirty=changes != "", remote=_remote(git, place))


def capture_environment() -> EnvironmentForm:
    """Return Python, platform, processor and every installed distribution with its version."""
    packages = {
        normal_name(distribution.metadata["Name"]): distribution.version
        for distribution in distributions()
        if distribution.metadata["Name"]
    }
    return EnvironmentForm(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        cpu=_cpu(),
        packages=dict(sorted(packages.items())),
    )


def digest_of_file(path: Path) -> str:
    """Return the sha256 name of a file's bytes."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            sha256.update(piece)
    return "sha256:" + sha256.hexdigest()


def _remote(git: str, place: Path) -> str | None:
    names = (_git(git, place, "remote") or "").split()
    if not names:
        return None
    name = "origin" if "origin" in names else names[0]
    url = _git(git, place, "remote", "get-url", name)
    return _USER_IN_URL.sub("", url) if url else None


def _git(git: str, place: Path, *arguments: str) -> str | None:
    """Return what git says, None if it fails."""
    command: Sequence[str] = [git, "--no-optional-locks", "-C", str(place), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def normal_name(name: str) -> str:
    """Return the normal form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _cpu() -> str:
    """Return the processor's name and its count of cores, as well as this system tells."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        for line in _lines(Path("/proc/cpuinfo")):
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name} x {os.cpu_count() or 1}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
