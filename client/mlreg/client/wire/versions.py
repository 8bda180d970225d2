"""Versions over the wire: registration, provenance, answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlreg.client.wire.base import Answer, Count, Digest, Request, Text, VersionNumber
from mlreg.client.wire.models import FeatureForm, ShortText

MAX_FILES = 5_000
Lane = Literal["full", "continue", "refit"]


class FileForm(Request):
    """One file of a manifest."""

    path: ShortText
    size: Count
    digest: Digest


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
    contract: list[FeatureForm] | None = None
    hyperparameters: dict[str, JsonValue] | None = None
    seeds: dict[str, Annotated[int, Field(ge=-(2**63), lt=2**63)]] | None = None
    environment: EnvironmentForm | None = None
    trainer: ShortText | None = None
    lane: Lane | None = None
    parent: VersionNumber | None = None
    train_start: datetime | None = None
    train_end: datetime | None = None


class VersionRequest(Request):
    """A version to be registered; every blob of it was uploaded before."""

    files: Annotated[list[FileForm], Field(min_length=1, max_length=MAX_FILES)]
    provenance: ProvenanceForm
    metrics: dict[str, float] = Field(default_factory=dict)
    tags: dict[str, ShortText] = Field(default_factory=dict)
    allow_missing: list[str] = Field(default_factory=list)
    description: Text = ""


class FileAnswer(Answer):
    """One file of a version."""

    path: str
    size: int
    digest: str


class VersionAnswer(Answer):
    """A version with its provenance; `files` and `contract` are there when one version is shown.

    Attributes:
        missing: the fields of the provenance that were not given, said so for ever.
        unsafe: whether loading it can run code (a pickle).
    """

    model: str
    number: int
    manifest: str
    flavour: str
    unsafe: bool
    lane: str | None
    trainer: str | None
    parent: int | None
    run_id: int | None
    git: dict[str, JsonValue] | None
    snapshots: list[str] | None
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


class VerificationAnswer(Answer):
    """What hashing every file of a version anew found; `broken` is empty when all is well."""

    model: str
    number: int
    files: int
    bytes: int
    broken: list[FileAnswer]
