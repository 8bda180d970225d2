"""What a user installs: the megabytes of the base package, and of the server, with all they need.

`python -m benchmarks.install` makes an environment for each from the lock, by uv, and counts the
bytes below its `site-packages`; pip itself is not among them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import report

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"base": "client.txt", "server": "server.txt"}
TARGETS = {"install_base_mb": ("<=", 60.0)}


def measure() -> dict[str, float]:
    """Return the megabytes of each."""
    return {f"install_{name}_mb": megabytes_of(lock) for name, lock in LOCKS.items()}


def megabytes_of(lock: str) -> float:
    """Install what a lock says, and mlreg, into a new environment, and weigh it."""
    with tempfile.TemporaryDirectory(prefix="mlreg-install-") as folder:
        uv("venv", "--quiet", f"--python={sys.executable}", folder)
        target = f"--python={folder}/bin/python"
        locked = str(ROOT / "requirements" / lock)
        uv("pip", "install", "--quiet", target, "--require-hashes", f"-r{locked}")
        uv("pip", "install", "--quiet", target, "--no-deps", str(ROOT))
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        return sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1e6


def uv(*words: str) -> None:
    """Run uv from the bootstrap environment."""
    subprocess.run([ROOT / ".bootstrap" / "bin" / "python", "-m", "uv", *words], check=True)


if __name__ == "__main__":
    report(measure, TARGETS)
