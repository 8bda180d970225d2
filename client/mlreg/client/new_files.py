"""Files and folders that appear whole, or not at all.

What always holds: nothing stands under the target's name before the block has ended without an
error; until then it is written beside the target, readable by this user alone, under a name that no
other process has; after an error nothing is left behind.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = ".mlreg-"


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """Hand out a file to write, which takes the target's place at the end of the block.

    Raises:
        OSError: the target's folder is not there, or cannot be written to.
    """
    part = _part_of(target)  # named before it is made: a signal in between leaves nothing
    try:
        with os.fdopen(_opened(part, target), "wb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Hand out a folder to fill, which becomes the target (absent or empty) at the block's end.

    Raises:
        OSError: the folder around it cannot be made or written to, or the target is not empty.
    """
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(target)
    try:
        part.mkdir(mode=0o700)
        yield part
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _opened(part: Path, target: Path) -> int:
    try:
        return os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        error.filename = str(target)  # the name that the caller knows, not ours beside it
        raise


def _part_of(target: Path) -> Path:
    """Return a name beside the target that no other process has."""
    return target.absolute().parent / f"{PREFIX}{secrets.token_hex(8)}"
