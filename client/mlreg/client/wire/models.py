"""Models over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from mlreg.client.wire.base import Answer, ReasonText, Request, Text

ShortText = Annotated[str, StringConstraints(max_length=1_000)]
DefaultValue = bool | int | float | str | None


class FeatureForm(Request):
    """One declared column; the server's rules say what its fields may be."""

    name: str
    dtype: str
    categories: list[str] | None = None
    default: DefaultValue = None
    at_risk: bool = False
    unseen: str = "missing"
    buckets: int = 0


class TargetForm(Request):
    """What the model answers."""

    task: str
    classes: list[str] = Field(default_factory=list)
    positive_class: str | None = None
    max_label_delay_seconds: Annotated[int, Field(ge=0, le=10 * 366 * 86_400)] = 86_400
    entity_key: str | None = None
    group_key: str | None = None
    weight: str | None = None


class ModelRequest(Request):
    """A model to be created."""

    name: ShortText
    target: TargetForm
    features: list[FeatureForm] | None = None
    description: Text = ""


class ArchiveRequest(Request):
    """Why a model is archived."""

    reason: ReasonText


class RetirementRequest(Request):
    """Why something is archived, deleted or restored; a restore needs no reason."""

    reason: ReasonText = ""


class UnsafeRequest(Request):
    """Whether versions that can run code when they are loaded may go live, and why."""

    allowed: bool
    reason: ReasonText


class ModelAnswer(Answer):
    """A model.

    Attributes:
        allows_unsafe: an admin lets its versions go live whose files can run code when loaded.
        deleted_at: set in the list of deleted models only; `restore` undoes it for 30 days.
    """

    name: str
    task: str
    description: str
    target: dict[str, JsonValue]
    features: list[dict[str, JsonValue]] | None
    last_version: int
    created_at: datetime
    created_by: str
    archived_at: datetime | None
    archived_reason: str | None
    archived_by: str | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    deleted_reason: str | None = None
    allows_unsafe: bool = False
