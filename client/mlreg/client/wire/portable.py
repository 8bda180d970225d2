"""A version as it travels between installations: its record, and the request to import it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mlreg.client.wire.base import Digest, Name, Request, Text, VersionNumber
from mlreg.client.wire.models import FeatureForm, ShortText, TargetForm
from mlreg.client.wire.versions import (
    MAX_FILES,
    FileForm,
    ProvenanceForm,
    StageFileForm,
)

FORMAT = 1
KIND = "mlreg-version"
MAX_RECORD_BYTES = 16 * 2**20


class RecordPart(BaseModel):
    """The base of a record's parts: a newer mlreg may say more, which this one keeps unread."""

    model_config = ConfigDict(
        extra="ignore", allow_inf_nan=False, frozen=True, protected_namespaces=()
    )


class OriginForm(RecordPart):
    """Which version this is, where it comes from."""

    model: Name
    number: VersionNumber
    manifest: Digest
    registered_at: datetime
    registered_by: ShortText


class ParentForm(RecordPart):
    """The version that it began from, where it comes from."""

    model: Name
    number: VersionNumber
    manifest: Digest
    registered_at: datetime
    registered_by: ShortText


class RecordForm(RecordPart):
    """Everything that an installation knows of a version.

    Attributes:
        evidence: decisions, signatures, attestations and the excerpt of the audit log: kept as they
            came, for auditors; nothing here is done because of them, but that signatures are
            checked anew.
    """

    kind: Literal["mlreg-version"]
    format: Literal[1]
    exported_at: datetime
    exported_by: ShortText
    origin: OriginForm
    parent: ParentForm | None = None
    model_description: Text = ""
    target: TargetForm
    features: list[FeatureForm] | None = None
    files: Annotated[list[FileForm], Field(min_length=1, max_length=MAX_FILES)]
    stage: Annotated[list[StageFileForm], Field(max_length=MAX_FILES)] = Field(default_factory=list)
    provenance: ProvenanceForm
    metrics: dict[str, float] = Field(default_factory=dict)
    tags: dict[str, ShortText] = Field(default_factory=dict)
    description: Text = ""
    evidence: dict[str, JsonValue] = Field(default_factory=dict)


class ImportRequest(Request):
    """A version to be imported; its record and its files were uploaded before.

    Attributes:
        record: the digest of the record's bytes.
        file: the digest over the whole file that it came in.
    """

    record: Digest
    file: Digest
