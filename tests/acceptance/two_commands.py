"""The README's two commands in a fresh clone: `make demo` and `make test`.

Called by `make acceptance`. Argument: a folder to clone into (a temporary one by default).
Exit 1 names what did not hold.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    *("static", "controlled", "firings_by_trigger", "runs_by_lane", "run_seconds_by_lane"),
    *("decisions_by_verdict", "revisions", "outage", "rollback", "seconds"),
}


def main() -> None:
    """Clone what is committed, run both commands as a stranger would, look at what they left."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="mlreg-clone-"))
    clone = folder / "mlreg"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    before = running()
    demo = timed(["make", "demo"], clone)
    check("the demo names its picture", ".png" in demo)
    document = timed(["make", "--silent", "demo", "ARGS=--json"], clone)
    year = json.loads(document[document.index("{") :])
    check("the demo's document has its keys", set(year) >= KEYS)
    better = year["controlled"]["log_loss"] < year["static"]["log_loss"]
    check("the controlled model beats the static one", better)
    timed(["make", "test"], clone)
    dirty = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout
    check(f"the clone is clean: {dirty}", not dirty)
    left = running() - before
    check(f"nothing is left running: {left}", not left)
    shutil.rmtree(folder, ignore_errors=True)
    print("acceptance: both commands work in a fresh clone")


def timed(command: list[str], folder: Path) -> str:
    """Run a command with next to no environment, print how long it took, return what it said."""
    kept = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "UV_CACHE_DIR")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, check=False
    )
    print(f"{' '.join(command)}: exit {done.returncode}, {time.monotonic() - started:.0f} s")
    if done.returncode != 0:
        sys.exit(done.stdout[-4000:])
    return done.stdout


def running() -> set[str]:
    """Return the command lines of what runs from a clone or serves a database, with their ids."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and ("mlreg" in words or "postgres" in words):
            found.add(f"{entry.name} {words[:80]}")
    return {line for line in found if not line.startswith(f"{os.getpid()} ")}


def check(what: str, holds: bool) -> None:
    """Print what holds; stop at what does not."""
    print(("ok: " if holds else "NOT: ") + what)
    if not holds:
        sys.exit(1)


main()
