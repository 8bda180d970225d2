"""Removing a folder that strangers wrote in: programs of users, whatever they left there.

What always holds: no depth of folders and no length of names is too much (a recursion would end
after a thousand, and take a worker with it), no link is followed, not even one that a program which
is still there puts in a folder's place meanwhile (each folder is opened in the one above it, never
by a path), and what cannot be removed stays and is no error.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_LINK = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; one that is not there is none.

    Folders within folders are moved up into one yard first, so none is deep.
    """
    with suppress(OSError):
        _admit_us(folder)
        with _opened(folder) as top:
            yard_name = Path(tempfile.mkdtemp(dir=folder)).name
            with _opened(yard_name, top) as yard:
                _clear(top, yard)
            os.rmdir(yard_name, dir_fd=top)
        folder.rmdir()


def _clear(top: int, yard: int) -> None:
    names = map(str, count())
    waiting = _emptied(top, yard, names)
    while waiting:
        one = waiting.pop()
        with suppress(OSError):
            with _opened(one, yard) as folder:
                waiting += _emptied(folder, yard, names)
            os.rmdir(one, dir_fd=yard)


def _emptied(folder: int, yard: int, names: Iterator[str]) -> list[str]:
    """Remove what is no folder, move the folders into the yard, and return their names there."""
    moved = []
    with suppress(OSError), os.scandir(folder) as entries:
        for one in entries:
            with suppress(OSError):  # the yard does not go into itself
                if one.is_dir(follow_symlinks=False):
                    _admit_us(one.name, folder)
                    name = next(names)
                    os.rename(one.name, name, src_dir_fd=folder, dst_dir_fd=yard)
                    moved.append(name)
                else:
                    os.unlink(one.name, dir_fd=folder)
    return moved


def _admit_us(folder: str | Path, above: int | None = None) -> None:
    """Take every right to a folder: whoever made it may have closed it."""
    with _opened(folder, above, os.O_PATH) as itself:
        Path(f"/proc/self/fd/{itself}").chmod(0o700)


@contextmanager
def _opened(folder: str | Path, above: int | None = None, how: int = os.O_RDONLY) -> Iterator[int]:
    """Open a folder that is no link, and yield its descriptor."""
    descriptor = os.open(folder, how | _NO_LINK, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
