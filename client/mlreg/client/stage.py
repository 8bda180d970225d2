"""The files of a training stage on this machine: their names in the archive, and what they are.

What always holds: names are plain relative paths and unique; a link is never followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from mlreg.client.errors import InvalidError
from mlreg.client.wire.versions import StageKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KINDS: tuple[StageKind, ...] = get_args(StageKind)
_CODE = (".py", ".r", ".jl", ".sql", ".sh", ".scala", ".toml", ".yaml", ".yml", ".cfg", ".ini")
_SUFFIXES: dict[str, StageKind] = {".ipynb": "notebook", ".log": "log", ".txt": "log"}
_SUFFIXES |= dict.fromkeys(_CODE, "code")


@dataclass(frozen=True)
class StagePath:
    """One file to be archived: its name in the archive, its kind, and where it is."""

    name: str
    kind: StageKind
    path: Path


def stage_paths(source: Path, *, kind: str | None = None, name: str = "") -> list[StagePath]:
    """Return the file, or every file of the folder, as files of a stage.

    Args:
        source: where it is.
        kind: what it is; for None its suffix says so.
        name: its name in the archive; the name that it has, where none is given.

    Raises:
        OSError: nothing is there.
        InvalidError: there is no such kind, or a link or nothing to archive.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidError(
            f"{kind!r} is no kind of file; kinds are {', '.join(KINDS)}", code="unknown_kind"
        )
    source.stat()
    base = name or source.name
    if source.is_dir() and not source.is_symlink():
        inside = [path for path in sorted(source.rglob("*")) if not path.is_dir()]
        named = [(f"{base}/{path.relative_to(source).as_posix()}", path) for path in inside]
    else:
        named = [(base, source)]
    if not named:
        raise InvalidError(f"{source} has no file in it", code="no_files")
    return [StagePath(name, kind_of(_plain_file(path), kind), path) for name, path in named]


def _plain_file(path: Path) -> Path:
    if path.is_symlink() or not path.is_file():
        raise InvalidError(f"{path} is a link or no plain file", code="not_a_file")
    return path


def stage_of_options(texts: Iterable[str]) -> list[StagePath]:
    """Return the files of `PATH[:KIND]` options; a name that is there twice is refused.

    Raises:
        OSError, InvalidError: as `stage_paths`.
    """
    found: list[StagePath] = []
    for text in texts:
        place, colon, kind = text.rpartition(":")
        typed = bool(colon) and not Path(text).exists()
        found += stage_paths(Path(place if typed else text), kind=kind if typed else None)
    check_names(found)
    return found


def check_names(files: Sequence[StagePath]) -> None:
    """Refuse two files of one name.

    Raises:
        InvalidError: there are two.
    """
    seen: set[str] = set()
    for file in files:
        if file.name.casefold() in seen:
            raise InvalidError(f"two files are called {file.name!r}", code="two_of_a_name")
        seen.add(file.name.casefold())


def kind_of(path: Path, kind: str | None = None) -> StageKind:
    """Return the kind that was given, else the one that a file's suffix says."""
    return cast("StageKind", kind) if kind else _SUFFIXES.get(path.suffix.lower(), "other")
