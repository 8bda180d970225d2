"""A worker's folder: its own while it lives, swept by any other worker once it is dead.

What always holds: a folder is in use exactly while its worker holds the lock on the file in it, and
the kernel gives the lock back however the worker ends; so rows of a killed run do not stay on disk.
"""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlreg.controller.removal import remove_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "mlreg-worker-"
LOCK = "in-use"


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """Make a folder of this worker's own under `parent`, and remove those of dead workers."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX))
    with (folder / "unlocked").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "unlocked").rename(folder / LOCK)  # a sweep sees it only now
        sweep(parent)
        try:
            yield folder
        finally:
            remove_folder(folder)


def sweep(parent: Path) -> None:
    """Remove the folders of workers that are no more."""
    for lock_file in parent.glob(f"{PREFIX}*/{LOCK}"):
        if not _is_held(lock_file):
            remove_folder(lock_file.parent)


def _is_held(lock_file: Path) -> bool:
    try:
        with lock_file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # its worker ended, and removed it itself
        return True
    return False
