"""The demo's seconds, those of processors, and the peak memory of each of its processes.

`python -m benchmarks.demo` runs `mlreg demo --json` and looks at every process below it ten times a
second: the peak is the kernel's own high-water mark of resident memory (VmHWM), so nothing between
two looks is lost but processes that lived shorter. Where others use the machine, the seconds and
those of training grow with what they do; the processor seconds of all processes hardly do.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.report import report

LOOK_SECONDS = 0.1
TARGETS = {"demo_seconds": ("<=", 240.0), "demo_peak_mb": ("<=", 1024.0)}


def descendants(root: int) -> set[int]:
    """Return a process and all processes below it, across sessions."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


def role_of(pid: int) -> str:
    """Return what a process is: a role of mlreg, postgres, or a child of the worker."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if "postgres" in words[0]:
        return "postgres"
    if "mlreg.cli" in words and len(words) > words.index("mlreg.cli") + 1:
        return words[words.index("mlreg.cli") + 1]
    return "child"


def peak_mb(pid: int) -> float:
    """Return the high-water mark of a process's resident memory in MiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    marks = [line for line in lines if line.startswith("VmHWM")]
    return int(marks[0].split()[1]) / 1024 if marks else 0.0


def cpu_seconds() -> float:
    """Return the processor seconds of all processes below this one that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure() -> dict[str, float]:
    """Run the demo and return its seconds and the peaks by role."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "document.json"
        words = [
            sys.executable,
            "-m",
            "mlreg.cli",
            "demo",
            "--json",
            f"--picture={folder}/year.png",
        ]
        began = time.monotonic()
        peaks: defaultdict[str, float] = defaultdict(float)
        with output.open("wb") as stream:
            process = subprocess.Popen(words, stdout=stream)
            while process.poll() is None:
                for pid in descendants(process.pid):
                    role = role_of(pid)
                    if role:
                        peaks[role] = max(peaks[role], peak_mb(pid))
                time.sleep(LOOK_SECONDS)
        if process.returncode != 0:
            sys.exit(f"mlreg demo ended with {process.returncode}")
        document = json.loads(output.read_text())
    return {
        "demo_seconds": time.monotonic() - began,
        "demo_cpu_seconds": cpu_seconds(),
        "train_seconds": sum(document["run_seconds_by_lane"].values()),
        "demo_peak_mb": max(peaks.values()),
        **{f"peak_mb_{role}": peak for role, peak in sorted(peaks.items())},
        "static_log_loss": document["static"]["log_loss"],
        "controlled_log_loss": document["controlled"]["log_loss"],
    }


if __name__ == "__main__":
    report(measure, TARGETS)
