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


def call_out():
    with socket.create_connection(("127.0.0.1", int(job["params"]["port"])), timeout=5):
        model()


if job["do"] == "train":
    globals()[job["params"].get("wild", "model")]()
else:
    sys.exit("nothing to predict with")
