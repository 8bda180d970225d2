"""Manifests: the files of a version as a sorted list of (path, size, digest).

What always holds: paths are relative, POSIX, normal, printable, unique however they are cased, and
none is the folder of another; they are data, never joined to a path on a server. The digest of a
manifest is that of its canonical JSON, so equal files under equal names have one name, anywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from mlreg.registry.domain.digests import canonical_json, checked_digest, digest_of
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1
MAX_FILES = 5_000
MAX_PATH_LENGTH = 500
MAX_PART_BYTES = 255
MAX_FILE_BYTES = 2**53


class InvalidManifestError(InvalidError):
    """A manifest breaks a rule; the message names the path."""

    code = "invalid_manifest"
    hint = "Register a file, or a folder of files with plain relative names."

    def __init__(self, *, path: str, problem: str) -> None:
        super().__init__(f"file {path[:120]!r}: {problem}")


@dataclass(frozen=True, slots=True, order=True)
class ManifestFile:
    """One file: its path in the artifact, its size in bytes, and its digest."""

    path: str
    size: int
    digest: str

    def __post_init__(self) -> None:
        checked_path(self.path)
        checked_digest(self.digest)
        if not 0 <= self.size < MAX_FILE_BYTES:
            raise InvalidManifestError(path=self.path, problem="its size is out of range")


@dataclass(frozen=True)
class Manifest:
    """The files of an artifact, sorted by path; its canonical JSON is made once."""

    files: tuple[ManifestFile, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.files) <= MAX_FILES:
            raise InvalidManifestError(path="", problem=f"1 to {MAX_FILES} files are needed")
        if list(self.files) != sorted(self.files):
            raise InvalidManifestError(path=self.files[0].path, problem="files must be sorted")
        _check_apart([file.path for file in self.files])

    @classmethod
    def of(cls, files: Iterable[ManifestFile]) -> Manifest:
        """Return the manifest of some files in any order."""
        return cls(tuple(sorted(files)))

    @classmethod
    def from_body(cls, body: str) -> Manifest:
        """Read the canonical JSON that `body` returned."""
        return cls(tuple(ManifestFile(**file) for file in json.loads(body)["files"]))

    @cached_property
    def body(self) -> str:
        """The canonical JSON, byte for byte as it is digested and stored."""
        files = [
            {"path": file.path, "size": file.size, "digest": file.digest} for file in self.files
        ]
        return canonical_json({"format": FORMAT, "files": files}).decode()

    @property
    def digest(self) -> str:
        """The digest of the canonical JSON: the name of the artifact."""
        return digest_of(self.body.encode())

    @property
    def total_size(self) -> int:
        """All bytes together."""
        return sum(file.size for file in self.files)


def checked_path(path: str) -> str:
    """Return the path unchanged.

    Raises:
        InvalidManifestError: absolute, empty, `.` or `..` parts, a backslash, a drive or a colon,
            something unprintable, or too long.
    """
    parts = path.split("/")
    for holds, problem in (
        (0 < len(path) <= MAX_PATH_LENGTH, f"a path has 1 to {MAX_PATH_LENGTH} letters"),
        (path.isprintable(), "a path has printable letters only"),
        (not set(path) & set('\\:*?"<>|'), 'a path has none of \\ : * ? " < > |'),
        (all(part.strip() not in {"", ".", ".."} for part in parts), "it is not a plain path"),
        (
            all(len(part.encode(errors="surrogatepass")) <= MAX_PART_BYTES for part in parts),
            "a part is longer than 255 bytes",
        ),
    ):
        if not holds:
            raise InvalidManifestError(path=path, problem=problem)
    return path


def _check_apart(paths: list[str]) -> None:
    """Refuse paths that would be one file, or a file and a folder, on some file system."""
    folded = sorted(path.casefold().split("/") for path in paths)
    for one, other in pairwise(folded):
        if other[: len(one)] == one:
            raise InvalidManifestError(path="/".join(other), problem="it is there twice")
