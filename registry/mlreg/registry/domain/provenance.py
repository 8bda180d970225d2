"""Provenance: what an auditor asks of a version, and which of it must be there.

What always holds: a version without one of `REQUIRED` is refused unless the one who registers names
that field, and then it is in `version.missing` for ever. A stateful lane must name its parent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.forms import Json

Lane = Literal["full", "continue", "refit"]
DataKind = Literal["snapshot", "file", "table"]
MAX_DATA_NAME = 500
STATEFUL: frozenset[str] = frozenset({"continue", "refit"})
REQUIRED = (
    "git",
    "data",
    "contract",
    "hyperparameters",
    "seeds",
    "environment",
    "trainer",
    "lane",
)
FIELDS = (*REQUIRED, "parent")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_USER_IN_URL = re.compile(r"(?<=://)[^/@]*@")


class IncompleteProvenanceError(InvalidError):
    """Required fields of the provenance lack; the message names them."""

    code = "incomplete_provenance"

    def __init__(self, *, missing: tuple[str, ...]) -> None:
        self.missing = missing
        self.hint = "Give them, or say so for ever with --allow-missing " + ",".join(missing) + "."
        super().__init__(f"the provenance lacks {', '.join(missing)}")


class InvalidProvenanceError(InvalidError):
    """A field of the provenance breaks a rule."""

    code = "invalid_provenance"

    def __init__(self, *, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


@dataclass(frozen=True, slots=True)
class GitState:
    """The working tree that made a version.

    Attributes:
        commit: the full hash of HEAD.
        dirty: whether tracked files differed from it, or untracked ones were there.
        remote: the URL of its remote without user or password; None if it has none.
    """

    commit: str
    dirty: bool
    remote: str | None

    def __post_init__(self) -> None:
        if _COMMIT.fullmatch(self.commit) is None:
            raise InvalidProvenanceError(where="git", problem="a commit has 40 or 64 hex digits")

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form; a password in the remote never leaves."""
        remote = None if self.remote is None else without_user(self.remote)
        return {"commit": self.commit, "dirty": self.dirty, "remote": remote}


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """The machine and the packages that made a version.

    Attributes:
        python: implementation and version, e.g. `CPython 3.11.9`.
        platform: operating system and architecture.
        cpu: the processor's name and its count of cores.
        packages: every installed distribution with its exact version.
    """

    python: str
    platform: str
    cpu: str
    packages: Mapping[str, str]

    def __post_init__(self) -> None:
        if not (self.python and self.platform and self.packages):
            raise InvalidProvenanceError(
                where="environment", problem="Python, platform and packages are needed"
            )

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "python": self.python,
            "platform": self.platform,
            "cpu": self.cpu,
            "packages": dict(sorted(self.packages.items())),
        }


@dataclass(frozen=True, slots=True)
class DataItem:
    """One named part of the data: a snapshot, a file, or a table in memory.

    Attributes:
        name: what the trainer calls it, e.g. `train` or `data/january.parquet`.
        digest: of the snapshot, of the file's bytes, or of the table's content.
        kind: which of these it is.
        rows: how many it has, None where nobody counted.
        size: of a file, in bytes.
    """

    name: str
    digest: str
    kind: DataKind = "file"
    rows: int | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        checked_digest(self.digest)
        if not 0 < len(self.name) <= MAX_DATA_NAME or not self.name.isprintable():
            problem = f"a name has 1 to {MAX_DATA_NAME} printable letters"
            raise InvalidProvenanceError(where="data", problem=problem)
        if self.kind not in get_args(DataKind):
            problem = f"a kind is one of {', '.join(get_args(DataKind))}"
            raise InvalidProvenanceError(where=f"data {self.name!r}", problem=problem)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "digest": self.digest,
            "kind": self.kind,
            "rows": self.rows,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class Provenance:
    """The audit metadata of one version; None means that nobody said.

    Attributes:
        snapshots: digests of the data it was trained on.
        data: the same with names and rows, where they are known; its digests are in `snapshots`.
        seeds: every seed by its name, e.g. {"seed": 7}.
        trainer: the plugin or program that trained it, e.g. `lightgbm`.
        parent: the number of the version that a stateful lane began from.
        run_id: the run that made it; None for a registration by hand.
        train_start, train_end: the rows it learnt from, `start ≤ time < end`.
        trained_by: who trained it; None is the one who registers it.
        duration_seconds, peak_memory_bytes: what the training took, its children included.
    """

    git: GitState | None = None
    snapshots: tuple[str, ...] | None = None
    data: tuple[DataItem, ...] | None = None
    feature_contract: FeatureContract | None = None
    hyperparameters: Mapping[str, Json] | None = None
    seeds: Mapping[str, int] | None = None
    environment: EnvironmentRecord | None = None
    trainer: str | None = None
    lane: Lane | None = None
    parent: int | None = None
    run_id: int | None = None
    train_start: datetime | None = None
    train_end: datetime | None = None
    trained_by: str | None = None
    duration_seconds: float | None = None
    peak_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for snapshot in self.snapshots or ():
            checked_digest(snapshot)
        if self.data and not {item.digest for item in self.data} <= set(self.snapshots or ()):
            problem = "the digest of every part is one of its snapshots"
            raise InvalidProvenanceError(where="data", problem=problem)
        if self.lane is not None and self.lane not in get_args(Lane):
            raise InvalidProvenanceError(
                where="lane", problem=f"it must be one of {', '.join(get_args(Lane))}"
            )
        if self.parent is not None and self.parent < 1:
            raise InvalidProvenanceError(where="parent", problem="versions count from 1")

    @property
    def lacking(self) -> tuple[str, ...]:
        """The required fields that nobody gave, in the order of `FIELDS`."""
        given: dict[str, object] = {
            "git": self.git,
            "data": self.snapshots or None,
            "contract": self.feature_contract,
            "hyperparameters": self.hyperparameters,
            "seeds": self.seeds or None,
            "environment": self.environment,
            "trainer": self.trainer or None,
            "lane": self.lane,
            "parent": self.parent if self.lane in STATEFUL else "none",
        }
        return tuple(name for name in FIELDS if given[name] is None)


def accepted_missing(provenance: Provenance, allow_missing: frozenset[str]) -> tuple[str, ...]:
    """Return the fields that lack and that the one who registers said may lack.

    Raises:
        InvalidProvenanceError: `allow_missing` names no field.
        IncompleteProvenanceError: a field lacks that it does not name.
    """
    unknown = sorted(allow_missing - set(FIELDS))
    if unknown:
        problem = f"{unknown[0]!r} is no field; fields are {', '.join(FIELDS)}"
        raise InvalidProvenanceError(where="allow-missing", problem=problem)
    refused = tuple(name for name in provenance.lacking if name not in allow_missing)
    if refused:
        raise IncompleteProvenanceError(missing=refused)
    return provenance.lacking


def without_user(remote: str) -> str:
    """Return a remote's URL without the user and password that some people write into it."""
    return _USER_IN_URL.sub("", remote)
