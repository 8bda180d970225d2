"""A client that registers a file and is killed on the way; not a test itself.

Usage: uploading_client.py URL TOKEN FILE SHARE: kills itself once that share of the bytes is sent
(`finish`: after the last byte, before the end is said).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from mlreg.client.client import Client
from mlreg.client.uploads import Uploads
from tests.upload_makers import bare_request


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, token: str, file: str, share: str) -> None:
    size, sent = Path(file).stat().st_size, 0

    def count(amount: int) -> None:
        nonlocal sent
        sent += amount
        if share != "finish" and sent >= float(share) * size:
            die()

    if share == "finish":
        Uploads._finish = die
    with Client(url, token) as client:
        client.versions.register("flights", Path(file), bare_request, on_bytes=count)


if __name__ == "__main__":
    main(*sys.argv[1:])
