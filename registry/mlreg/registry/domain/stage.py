"""The stage of a version: the named files that its training left beside the model.

What always holds: names obey the rules of a manifest's paths and are unique; every file has one of
the known kinds; a stage's digest is that of the manifest of its files, so kinds are labels on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.manifests import Manifest, ManifestFile

if TYPE_CHECKING:
    from collections.abc import Iterable

StageKind = Literal["code", "notebook", "log", "search_table", "loss_curve", "predictions", "other"]
KINDS: tuple[StageKind, ...] = get_args(StageKind)


class InvalidStageError(InvalidError):
    """A file of the stage breaks a rule; the message names it."""

    code = "invalid_stage"

    def __init__(self, *, name: str, problem: str) -> None:
        super().__init__(f"stage file {name[:120]!r}: {problem}")


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file of a stage: its name there, what it is, its size in bytes, its digest."""

    name: str
    kind: StageKind
    size: int
    digest: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            problem = f"its kind must be one of {', '.join(KINDS)}"
            raise InvalidStageError(name=self.name, problem=problem)


@dataclass(frozen=True, slots=True)
class Stage:
    """All files of a stage; never empty."""

    files: tuple[StagedFile, ...]
    manifest: Manifest

    @classmethod
    def of(cls, files: Iterable[StagedFile]) -> Stage | None:
        """Return the stage of some files in any order, None when there are none.

        Raises:
            InvalidManifestError: a name is no plain path, or there twice.
        """
        found = tuple(sorted(files, key=lambda file: file.name))
        if not found:
            return None
        listed = [ManifestFile(path=one.name, size=one.size, digest=one.digest) for one in found]
        return cls(found, Manifest.of(listed))
