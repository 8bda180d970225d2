"""How long `mlreg up` and the command line take to start, and what idle processes cost.

`python -m benchmarks.startup` starts `mlreg up` twice on a folder of its own, with the disk waited
for as in earnest; memory is PSS (each shared page counted once over all processes).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.report import report
from tests.servers.running import RunningMlreg
from tests.servers.s3 import free_port

IDLE_SECONDS = 5.0
REPEATS = 7

TARGETS = {
    "first_start_readyz_seconds": ("<=", 4.0),
    "second_start_readyz_seconds": ("<=", 4.0),
    "idle_pss_mb": ("<=", 600.0),
    "help_seconds": ("<=", 0.25),
    "status_seconds": ("<=", 0.25),
}


def measure() -> dict[str, float]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="mlreg-bench-") as name:
        folder = Path(name) / "data"
        seconds = [measure_start(folder) for _ in range(2)]
        mlreg = RunningMlreg(folder, environ={"MLREG_UNSAFE_NO_SYNC": ""})
        mlreg.start()
        try:
            time.sleep(IDLE_SECONDS)
            return {
                "first_start_readyz_seconds": seconds[0],
                "second_start_readyz_seconds": seconds[1],
                **measure_memory(mlreg.process.pid),
                "help_seconds": measure_command(mlreg, "--help"),
                "status_seconds": measure_command(mlreg, "status"),
            }
        finally:
            mlreg.stop()


def measure_start(folder: Path) -> float:
    """Return the seconds from the command to `/readyz` saying yes."""
    port, config = free_port(), str(folder.with_name("config"))
    words = [sys.executable, "-m", "mlreg.cli", "up", f"--data={folder}", f"--port={port}"]
    started = time.perf_counter()
    up = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, env={**os.environ, "MLREG_CONFIG_DIR": config}
    )
    while not is_ready(port):
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    time.sleep(IDLE_SECONDS)
    up.terminate()
    up.wait()
    return seconds


def is_ready(port: int) -> bool:
    """Say whether `/readyz` says yes."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def measure_memory(pid: int) -> dict[str, float]:
    """Return the PSS of the supervisor and all below it, in megabytes, together and by role."""
    found = {"idle_pss_mb": 0.0}
    supervisor = psutil.Process(pid)
    for process in [supervisor, *supervisor.children(recursive=True)]:
        words = process.cmdline()
        role = "postgres" if "postgres" in words[0] else words[3]
        megabytes = process.memory_full_info().pss / 1e6
        found["idle_pss_mb"] += megabytes
        found[f"idle_pss_mb_{role}"] = found.get(f"idle_pss_mb_{role}", 0.0) + megabytes
    return found


def measure_command(mlreg: RunningMlreg, word: str) -> float:
    """Return the median seconds of `mlreg WORD`, the first call left out."""
    seconds = []
    program = Path(sys.executable).with_name("mlreg")
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        subprocess.run(
            [program, word],
            env={**mlreg.environ, "MLREG_URL": mlreg.url},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    report(measure, TARGETS)
