"""Functions that the executor's tests run in children; not a test itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def answer(folder):
    document = json.loads((folder / "job.json").read_text())
    (folder / "result.json").write_text(json.dumps({"sum": sum(document["numbers"])}))
    print("two\nlines")
    print("and an error", file=sys.stderr)


def raise_error(_folder):
    raise ValueError("column 'temp' is missing")


def print_for_ever(_folder):
    block = "x" * 999 + "\n"
    for _ in range(200_000):
        sys.stdout.write(block)


def print_binary(_folder):
    os.write(1, b"nul \x00 escape \x1b[31m bad \xff utf8\n" + b"y" * 10_000)


def sleep(folder):
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(600)


def sleep_with_offspring(folder):
    one = subprocess.Popen(["sleep", "600"])
    two = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (folder / "pids").write_text(f"{os.getpid()} {one.pid} {two.pid}")
    time.sleep(600)


def leave_offspring(folder):
    one = subprocess.Popen(["sleep", "600"])
    two = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (folder / "pids").write_text(f"{one.pid} {two.pid}")


def spin(_folder):
    while True:
        pass


def fill(folder):
    (folder / "large").write_bytes(bytes(3 * 2**20))


def eat(_folder):
    blocks = [bytearray(64 * 1024 * 1024) for _ in range(1000)]
    print(len(blocks))


def eat_together(folder):
    """Start processes of which each keeps to its limit."""
    code = "import time; kept = bytearray(300 * 2**20); time.sleep(600)"
    started = [subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) for _ in range(4)]
    (folder / "pids").write_text(" ".join(str(one.pid) for one in started))
    time.sleep(600)


def spin_together(_folder):
    """Start processes of which each takes less than its limit, one after the other."""
    code = "import time\nwhile time.process_time() < 0.6: pass"
    while True:
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def sleep_with_a_daemon(folder):
    (folder / "pids").write_text(_daemon("sleep", "600"))
    time.sleep(600)


def eat_in_daemons(folder):
    """Let processes whose parents have ended hold the memory; each keeps to its limit."""
    code = "import time; kept = bytearray(300 * 2**20); time.sleep(600)"
    pids = [_daemon(sys.executable, "-I", "-S", "-c", code) for _ in range(4)]
    (folder / "pids").write_text(" ".join(pids))
    time.sleep(600)


def _daemon(*words):
    """Start a program from a process that ends, in a session of its own; return its number."""
    code = f"import subprocess\nprint(subprocess.Popen({words!r}, start_new_session=True).pid)"
    parent = [sys.executable, "-I", "-S", "-c", code]
    with subprocess.Popen(parent, stdout=subprocess.PIPE, text=True) as process:
        return process.stdout.readline().strip()


def exit_hard(_folder):
    os._exit(7)


def kill_self(_folder):
    os.kill(os.getpid(), 9)


def look_around(folder):
    environment = dict(os.environ)
    open_files = list(Path("/proc/self/fd").iterdir())
    (folder / "result.json").write_text(
        json.dumps({"environment": environment, "files": len(open_files)})
    )


def train_a_little(folder):
    import lightgbm
    import numpy as np

    x = np.random.default_rng(1).normal(size=(20_000, 10))
    booster = lightgbm.train(
        {"objective": "binary", "num_threads": 2, "verbose": -1},
        lightgbm.Dataset(x, label=(x[:, 0] > 0).astype(float)),
        num_boost_round=20,
    )
    (folder / "result.json").write_text(json.dumps({"trees": booster.num_trees()}))


def call_out(folder):
    with socket.create_connection(("127.0.0.1", int((folder / "port").read_text())), timeout=5):
        pass


def write_outside(folder):
    (folder.parent / "elsewhere").write_text("owned")


def nothing(_folder):
    pass


def answer_from_folders(folder):
    answer(folder)
    size = (folder / "inputs/deep/rows").stat().st_size
    known = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**known, "bytes": size}))
    (folder / "out/deep").mkdir(parents=True)
    (folder / "out/deep/model").write_bytes(b"model")


def print_pids_and_sleep(_folder):
    one = subprocess.Popen(["sleep", "600"])
    two = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print("pids", os.getpid(), one.pid, two.pid, flush=True)
    time.sleep(600)


def leave_a_link(folder):
    (folder / "out").symlink_to("/etc")


def write_model(folder):
    (folder / "model").write_bytes(b"x" * 100_000)
    print("written", flush=True)


def print_slowly(_folder):
    for number in range(20):
        print("line", number, flush=True)
        time.sleep(0.05)
