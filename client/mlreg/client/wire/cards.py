"""Model cards over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import JsonValue, StringConstraints

from mlreg.client.wire.base import Answer, Request, VersionNumber

CardForm = Literal["markdown", "html"]
NoteText = Annotated[str, StringConstraints(max_length=20_000)]
SectionName = Literal["intended_use", "out_of_scope", "data", "limits", "ethics", "contact"]


class NoteRequest(Request):
    """A note for a section of a card; without a version it is for every version of the model.

    An empty text takes back the note before it.
    """

    section: SectionName
    text: NoteText
    version: VersionNumber | None = None


class NoteAnswer(Answer):
    """What a person wrote into a section, and when."""

    section: str
    text: str
    by: str
    at: datetime
    version: int | None


class DataPartAnswer(Answer):
    """One part of the data; the times are those of a snapshot's rows."""

    name: str
    digest: str
    kind: str
    rows: int | None
    start: datetime | None
    end: datetime | None


class CardFeatureAnswer(Answer):
    """One input of the model."""

    name: str
    dtype: str
    categories: int | None
    at_risk: bool


class CardGateAnswer(Answer):
    """What one gate found."""

    gate: str
    outcome: str
    reason: str


class CardSliceAnswer(Answer):
    """How the model did on one slice; `gain` is how much better than the champion."""

    column: str
    value: str
    metric: str
    rows: int
    challenger: float | None
    champion: float | None
    gain: float | None


class CardEvaluationAnswer(Answer):
    """One decision on the version, with gates and the worst slices."""

    decision: int
    at: datetime
    environment: str
    verdict: str
    reason: str
    champion: int | None
    rows: int | None
    first: str | None
    last: str | None
    metrics: dict[str, float]
    gates: list[CardGateAnswer]
    slices: list[CardSliceAnswer]


class CardAttestationAnswer(Answer):
    """What somebody found out about the version."""

    kind: str
    outcome: str
    at: datetime
    by: str


class CardAnswer(Answer):
    """The card of a version as of now; `limits` are those that the record itself says."""

    model: str
    number: int
    task: str
    description: str
    facts: dict[str, str]
    notes: list[NoteAnswer]
    data: list[DataPartAnswer]
    train_start: datetime | None
    train_end: datetime | None
    features: list[CardFeatureAnswer]
    hyperparameters: dict[str, JsonValue]
    seeds: dict[str, JsonValue]
    metrics: dict[str, float]
    evaluations: list[CardEvaluationAnswer]
    attestations: list[CardAttestationAnswer]
    limits: list[str]


class CardDocument(Answer):
    """A card as a document; the text is safe to be rendered, whatever people wrote."""

    model: str
    number: int
    form: str
    text: str
