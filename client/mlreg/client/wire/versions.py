"""Versions over the wire: registration, provenance, answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlreg.client.wire.attestations import AttestationAnswer
from mlreg.client.wire.base import Answer, Count, Digest, Request, Text, VersionNumber
from mlreg.client.wire.models import FeatureForm, ShortText
from mlreg.client.wire.signing import SignatureForm

MAX_FILES = 5_000
Lane = Literal["full", "continue", "refit"]
DataKind = Literal["snapshot", "file", "table"]
StageKind = Literal["code", "notebook", "log", "search_table", "loss_curve", "predictions", "other"]


class FileForm(Request):
    """One file of a manifest."""

    path: ShortText
    size: Count
    digest: Digest


class StageFileForm(Request):
    """One file of the training stage, under a name that is a plain path as in a manifest."""

    name: ShortText
    kind: StageKind = "other"
    size: Count
    digest: Digest


class DataForm(Request):
    """One named part of the data: a snapshot, a file, or a table that was in memory."""

    name: ShortText
    digest: Digest
    kind: DataKind = "file"
    rows: Count | None = None
    size: Count | None = None


class GitForm(Request):
    """The working tree that made a version; `remote` without user and password."""

    commit: ShortText
    dirty: bool
    remote: ShortText | None = None


class EnvironmentForm(Request):
    """The machine and the packages that made a version."""

    python: ShortText
    platform: ShortText
    cpu: ShortText
    packages: dict[str, ShortText]


class ProvenanceForm(Request):
    """The audit metadata of a version; what is absent must be allowed to be missing."""

    git: GitForm | None = None
    snapshots: list[Digest] | None = None
    data: Annotated[list[DataForm], Field(max_length=MAX_FILES)] | None = None
    contract: list[FeatureForm] | None = None
    hyperparameters: dict[str, JsonValue] | None = None
    seeds: dict[str, Annotated[int, Field(ge=-(2**63), lt=2**63)]] | None = None
    environment: EnvironmentForm | None = None
    trainer: ShortText | None = None
    lane: Lane | None = None
    parent: VersionNumber | None = None
    train_start: datetime | None = None
    train_end: datetime | None = None
    trained_by: ShortText | None = None
    duration_seconds: Annotated[float, Field(ge=0)] | None = None
    peak_memory_bytes: Count | None = None


class VersionRequest(Request):
    """A version to be registered; every blob of it was uploaded before."""

    files: Annotated[list[FileForm], Field(min_length=1, max_length=MAX_FILES)]
    stage: Annotated[list[StageFileForm], Field(max_length=MAX_FILES)] = Field(default_factory=list)
    provenance: ProvenanceForm
    signature: SignatureForm | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    tags: dict[str, ShortText] = Field(default_factory=dict)
    allow_missing: list[str] = Field(default_factory=list)
    description: Text = ""


class FileAnswer(Answer):
    """One file of a version; the last two are there when one version is shown.

    Attributes:
        state: `verified`, or what is wrong with the stored bytes.
        verified_at: when they were last hashed and found right.
    """

    path: str
    size: int
    digest: str
    state: str | None = None
    verified_at: datetime | None = None


class StageFileAnswer(Answer):
    """One file of a version's stage."""

    name: str
    kind: str
    size: int
    digest: str


class CurveAnswer(Answer):
    """One series of a loss curve, thinned; `last`, `least`, `greatest` are of all its points."""

    file: str
    name: str
    points: list[tuple[float, float]]
    count: int
    last: float
    least: float
    greatest: float


class SearchTableAnswer(Answer):
    """The first trials of a search; `count` is how many there were."""

    file: str
    columns: list[str]
    rows: list[list[str]]
    count: int


class StageAnswer(Answer):
    """A version's stage, with what of it can be shown.

    Attributes:
        problems: files that are meant to be shown and cannot be, with the reason.
    """

    model: str
    number: int
    files: list[StageFileAnswer]
    curves: list[CurveAnswer]
    searches: list[SearchTableAnswer]
    problems: dict[str, str]


class VersionAnswer(Answer):
    """A version with its provenance; `files`, `stage`, `contract`, `chain` come with a single one.

    Attributes:
        chain: the versions from the full retrain that it goes back to, down to itself.
        missing: the fields of the provenance that were not given, said so for ever.
        unsafe: whether loading it can run code (a pickle).
        archived_at: hidden from lists and search, and not promoted.
        deleted_at: set in the list of deleted versions only; `restore` undoes it for 30 days.
        purged_at: its bytes may be gone; the record stays.
        imported_from: what the file of another installation said of it; None if it is our own.
    """

    model: str
    number: int
    manifest: str
    flavour: str
    unsafe: bool
    lane: str | None
    trainer: str | None
    parent: int | None
    chain: list[int] | None = None
    run_id: int | None
    git: dict[str, JsonValue] | None
    snapshots: list[str] | None
    data: list[dict[str, JsonValue]] | None = None
    trained_by: str | None = None
    duration_seconds: float | None = None
    peak_memory_bytes: int | None = None
    stage_digest: str | None = None
    feature_contract: str | None
    contract: list[dict[str, JsonValue]] | None = None
    hyperparameters: dict[str, JsonValue] | None
    seeds: dict[str, JsonValue] | None
    environment: dict[str, JsonValue] | None
    metrics: dict[str, float]
    tags: dict[str, str]
    missing: list[str]
    train_start: datetime | None
    train_end: datetime | None
    description: str
    created_at: datetime
    created_by: str
    files: list[FileAnswer] | None = None
    attestations: list[AttestationAnswer] | None = None
    archived_at: datetime | None = None
    archived_by: str | None = None
    archived_reason: str | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    deleted_reason: str | None = None
    purged_at: datetime | None = None
    imported_from: dict[str, JsonValue] | None = None
    stage: list[StageFileAnswer] | None = None


class VerificationAnswer(Answer):
    """What hashing every file of a version anew found; `broken` is empty when all is well."""

    model: str
    number: int
    files: int
    bytes: int
    broken: list[FileAnswer]
