"""The files of a model: one, or a folder of them; plain ones, or they are none."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from mlreg.controller.trainers.errors import TrainingFailedError
from mlreg.registry.domain.manifests import MAX_FILES, MAX_PATH_LENGTH, Manifest, ManifestFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 2**20


def digest_of_files(path: Path) -> str:
    """Return the digest of a file; of a folder that of its manifest."""
    if path.is_file():
        with path.open("rb") as reader:
            return "sha256:" + hashlib.file_digest(reader, "sha256").hexdigest()
    files = [
        ManifestFile(one.relative_to(path).as_posix(), one.stat().st_size, digest_of_files(one))
        for one in sorted(path.rglob("*"))
        if one.is_file()
    ]
    return Manifest.of(files).digest


def copy_plain(source: Path, target: Path, *, max_bytes: int) -> None:
    """Copy a folder that a stranger wrote, whose writer may still be at it.

    Raises:
        TrainingFailedError: it is gone, empty or too large, it cannot be read, or something in it
            is a link, a device, a pipe or the like; names the first.
    """
    try:
        _copy_tree(source, target, max_bytes)
    except OSError as error:
        cause = f"the artifact folder cannot be read: {error.strerror or type(error).__name__}"
        raise TrainingFailedError(cause=cause) from error


def _copy_tree(source: Path, target: Path, max_bytes: int) -> None:
    if not stat.S_ISDIR(source.lstat().st_mode):
        raise TrainingFailedError(cause="the artifact folder is no folder any more")
    left, count = max_bytes, 0
    for one in _walk(source):
        name = one.relative_to(source)
        if len(str(name)) > MAX_PATH_LENGTH:
            cause = f"the artifact holds a path of more than {MAX_PATH_LENGTH} letters"
            raise TrainingFailedError(cause=cause)
        kind = one.lstat().st_mode
        if stat.S_ISDIR(kind):
            continue
        if not stat.S_ISREG(kind):
            what = "a symbolic link" if stat.S_ISLNK(kind) else "no plain file"
            raise TrainingFailedError(cause=f"the artifact holds {str(name)[:120]!r}, {what}")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        left -= _copy_file(one, target / name, left)
        count += 1
        if left < 0 or count > MAX_FILES:
            cause = f"the artifact has more than {max_bytes} bytes, or {MAX_FILES} files"
            raise TrainingFailedError(cause=cause)
    if not count:
        raise TrainingFailedError(cause="the artifact folder is empty")


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder in order, following no link."""
    for one in sorted(folder.iterdir()):
        yield one
        if one.is_dir() and not one.is_symlink():
            yield from _walk(one)


def _copy_file(source: Path, target: Path, left: int) -> int:
    """Copy the bytes of a file, one too many at most; return how many."""
    copied = 0
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as reader, target.open("xb") as writer:
        while copied <= left and (chunk := reader.read(min(CHUNK_BYTES, left - copied + 1))):
            copied += writer.write(chunk)
    return copied
