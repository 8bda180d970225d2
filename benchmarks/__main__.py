"""`make bench`: every benchmark of this folder, each in a process of its own.

Arguments name the ones to run (all by default). A target that is missed is printed, not an error:
the numbers depend on the machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.report import line

NOT_BENCHMARKS = {"__init__", "__main__", "children", "cpu", "report", "seed", "streams"}


def main() -> None:
    """Run them and print each number beside its target."""
    there = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    names = sys.argv[1:] or [name for name in there if name not in NOT_BENCHMARKS]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    failed = [name for name in names if not run(name)]
    if failed:
        sys.exit(f"these ended with an error: {', '.join(failed)}")


def run(name: str) -> bool:
    """Run one benchmark, print its numbers, and say whether it ended well."""
    print(f"\n{name}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return False
    targets = getattr(import_module(f"benchmarks.{name}"), "TARGETS", {})
    for key, number in json.loads(done.stdout.splitlines()[-1]).items():
        print("  " + line(key, number, targets.get(key)), flush=True)
    return True


main()
