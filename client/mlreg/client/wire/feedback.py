"""Batches of logged rows, as JSON, and what becomes of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from mlreg.client.wire.base import Answer, Request, VersionNumber

FeatureValue = float | bool | str | None
RowId = Annotated[str, Field(min_length=1, max_length=1024)]
BatchId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+@=-]{0,199}$")]


class PredictionRow(Request):
    """One prediction: its features by name, and what the model answered.

    Attributes:
        version: the version that answered; null for history that no served model made.
        score: the answer; for a binary model the probability of the positive class.
        scores: of a multiclass model only: the probability of each class, in their order.
        entity: whom the prediction is about, e.g. a customer.
        arm: which way the request was routed, e.g. `champion` or `challenger`.
        propensity: how probable that arm was when it was chosen; above 0.
    """

    prediction_id: RowId
    time: AwareDatetime
    version: VersionNumber | None = None
    score: float | None = None
    scores: list[float] | None = None
    entity: str | None = None
    arm: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    propensity: Annotated[float, Field(gt=0, le=1)] | None = None
    features: dict[str, FeatureValue] = Field(default_factory=dict)


class LabelRow(Request):
    """One label: the truth about a prediction, and when it came to be known."""

    prediction_id: RowId
    time: AwareDatetime
    label: float
    weight: float | None = None


class PredictionBatch(Request):
    """Predictions that are kept as a whole or not at all."""

    batch_id: BatchId | None = None
    rows: list[PredictionRow]


class LabelBatch(Request):
    """Labels that are kept as a whole or not at all."""

    batch_id: BatchId | None = None
    rows: list[LabelRow]


class BatchAnswer(Answer):
    """What became of a batch; of a duplicate nothing was added."""

    batch_id: str
    rows: int
    duplicate: bool
