"""The stage of a version: which files its training left, and the curves and searches among them.

What always holds: a file that is meant to be shown and cannot be is a problem with its name, never
an error of the whole; nothing is read but what is shown, and of all files together never more than
`MAX_BYTES`, for parsing them is dear and asking for it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlreg.registry.artifacts.errors import BlobCorruptError, BlobNotFoundError
from mlreg.registry.artifacts.reading import read_blob
from mlreg.registry.domain.curves import (
    MAX_BYTES,
    Curve,
    SearchTable,
    UnreadableTableError,
    read_curves,
    read_search_table,
)
from mlreg.registry.store import stages
from mlreg.registry.store.tables import StageFile

if TYPE_CHECKING:
    from mlreg.registry.artifacts.store import ArtifactStore
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Version

SHOWN_FILES = 6


@dataclass
class ShownStage:
    """A stage with what of it can be shown, by the name of the file.

    Attributes:
        problems: why a curve or search cannot be shown, by the name of its file.
    """

    files: Sequence[StageFile]
    curves: dict[str, tuple[Curve, ...]] = field(default_factory=dict)
    searches: dict[str, SearchTable] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def list_stage(session: ReadSession, version: Version) -> Sequence[StageFile]:
    """Return the files of a version's stage by name; none where it has no stage."""
    return () if version.stage_digest is None else stages.list_stage_files(session, version)


def read_stage(store: ArtifactStore, files: Sequence[StageFile]) -> ShownStage:
    """Read the curves and searches among some files, `SHOWN_FILES` of each kind at most.

    Raises:
        StoreUnreachableError: nothing can be said about them.
    """
    shown, left = ShownStage(files), MAX_BYTES
    for kind in ("loss_curve", "search_table"):
        for file in [file for file in files if file.kind == kind][:SHOWN_FILES]:
            _read(store, file, shown, left)
            left -= file.size if file.size <= left else 0
    return shown


def _read(store: ArtifactStore, file: StageFile, shown: ShownStage, left: int) -> None:
    try:
        content = _content(store, file, left)
        if file.kind == "loss_curve":
            shown.curves[file.name] = read_curves(content)
        else:
            shown.searches[file.name] = read_search_table(content)
    except (UnreadableTableError, BlobCorruptError, BlobNotFoundError) as error:
        shown.problems[file.name] = str(error)


def _content(store: ArtifactStore, file: StageFile, left: int) -> bytes:
    if file.size > left:
        rest = "" if file.size > MAX_BYTES else ", with those before it"
        raise UnreadableTableError(problem=f"it is larger than {MAX_BYTES} bytes{rest}")
    return read_blob(store, file.digest, max_bytes=MAX_BYTES)
