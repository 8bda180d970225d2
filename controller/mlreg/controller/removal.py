"""Removing a folder that strangers wrote in: programs of users, whatever they left there.

What always holds: no depth of folders and no length of names is too much (a recursion would end
after a thousand, and take a worker with it), no link is followed, and what cannot be removed stays
and is no error. Only folders that nobody writes in any more are removed.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; one that is not there is none.

    Folders within folders are moved up into one yard first, so every path stays short.
    """
    with suppress(OSError):
        os.chmod(folder, 0o700)  # noqa: PTH101 - a folder, no link: whoever made it may have closed it
        yard = Path(tempfile.mkdtemp(dir=folder))
        numbers = count()
        waiting = [one for one in _emptied(folder) if one != yard]
        while waiting:
            one = waiting.pop()
            waiting += _moved(_emptied(one), yard, numbers)
            with suppress(OSError):
                one.rmdir()
        yard.rmdir()
        folder.rmdir()


def _emptied(folder: Path) -> list[Path]:
    """Remove what is no folder, and return the folders."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for one in entries:
            with suppress(OSError):
                if one.is_dir(follow_symlinks=False):
                    os.chmod(one.path, 0o700)  # noqa: PTH101 - no link, as was just seen
                    found.append(Path(one.path))
                else:
                    os.unlink(one.path)  # noqa: PTH108 - of a hundred thousand
    return found


def _moved(folders: list[Path], yard: Path, numbers: Iterator[int]) -> Iterator[Path]:
    for one in folders:
        with suppress(OSError):
            yield one.rename(yard / str(next(numbers)))
