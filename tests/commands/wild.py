"""A trainer command that misbehaves as its parameter `wild` says; standard library only."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
artifact = Path(job["artifact"])


def model():
    (artifact / "model.json").write_text("{}")


def hang():
    time.sleep(600)


def leak():
    blocks = []
    while True:
        blocks.append(bytearray(32 * 2**20))


def print_for_ever():
    while True:
        os.write(1, b"x" * 65536)


def exit_without_model():
    print("all is well")


def crash():
    sys.exit("the learning rate is no number")


def write_outside():
    model()
    Path(job["params"]["place"]).write_text("owned")


def fill():
    (artifact / "large").write_bytes(bytes(3 * 2**20))


def link():
    (artifact / "model.json").symlink_to("/etc/passwd")


def daemon():
    model()
    script = f"import time; open({str(folder / 'pid')!r}, 'w'); time.sleep(600)"
    one = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    print(f"daemon {one.pid}", flush=True)


def leave_dead():
    """Leave twenty that end at once to who adopts them, and wait until it has buried them."""
    model()
    for _ in range(20):
        if os.fork() == 0:
            os._exit(0 if os.fork() else 7)
        os.wait()
    children = Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children")
    until = time.monotonic() + float(job["params"]["seconds"])
    while (left := children.read_text().split()) != [str(os.getpid())]:
        if time.monotonic() > until:
            sys.exit(f"{len(left) - 1} lie about")
        time.sleep(0.02)
    sys.exit("all are buried")


def call_out():
    with socket.create_connection(("127.0.0.1", int(job["params"]["port"])), timeout=5):
        model()


if job["do"] == "train":
    globals()[job["params"].get("wild", "model")]()
else:
    sys.exit("nothing to predict with")
