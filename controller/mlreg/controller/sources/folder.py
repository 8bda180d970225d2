"""A local folder as a place: nothing outside of it, whatever the name and wherever links lead.

What always holds: where an open file really lies is asked of the kernel, after it was opened, so
that nobody can change a link in between.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mlreg.controller.domain.sources import fixed_part, is_under, pattern_of
from mlreg.controller.sources.errors import (
    FileLeadsOutError,
    SourceTooLargeError,
    SourceUnreachableError,
    first_line,
)
from mlreg.controller.sources.source import Opened, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_FILES = 100_000
FILE = "file://"


class Folder:
    """The files below a folder."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)

    def find(self, url: str) -> Sequence[str]:
        """See `Place.find`."""
        start, pattern = fixed_part(url).removeprefix(FILE), pattern_of(url)
        self._check(start, os.path.realpath(start))
        found = []
        for path in _walk(start):
            if pattern.fullmatch(f"{FILE}{path}") is not None:
                found.append(f"{FILE}{path}")
                if len(found) > MAX_FILES:
                    raise SourceTooLargeError(
                        source=url, amount=len(found), of="files", most=MAX_FILES
                    )
        return sorted(found)

    @contextmanager
    def open(self, url: str) -> Iterator[Opened]:
        """See `Place.open`."""
        path = url.removeprefix(FILE)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(url) from None
        except OSError as error:
            raise SourceUnreachableError(where=url, cause=first_line(error)) from error
        try:
            here = f"/proc/self/fd/{descriptor}"
            self._check(path, str(Path(here).readlink()))
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode):
                raise FileNotFoundError(url)
            state = f"{seen.st_ino}:{seen.st_size}:{seen.st_mtime_ns}:{seen.st_ctime_ns}"
            with pa.OSFile(here) as file:
                yield Opened(file, seen.st_size, state)
        finally:
            os.close(descriptor)

    def _check(self, given: str, real: str) -> None:
        if not is_under(real, self._root):
            raise FileLeadsOutError(file=given, root=self._root)


def _walk(start: str) -> Iterator[str]:
    """Yield the files below a folder, or the file itself; hidden and half-written ones are not."""
    if Path(start).is_file():
        yield start
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (f"{folder}/{name}" for name in names if not name.startswith((".", "_")))


_PROOF: type[Place] = Folder
