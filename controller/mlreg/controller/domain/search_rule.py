"""`retrain.search`: hyperparameters that a full retrain looks for, within a time.

What always holds: a search is bounded by trials and by seconds; what it may choose is declared.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Discriminator, Field, WithJsonSchema, model_validator

from mlreg.controller.domain.metrics import MetricName
from mlreg.controller.domain.policy_part import PolicyPart, tagged
from mlreg.controller.domain.yaml_file import TAG

Scalar = bool | int | float | str
MAX_CHOICES = 100


class Range(PolicyPart):
    """`{low: 0.01, high: 0.3, log: true}`: any number between; two whole ones: any whole one."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if isinstance(self.low, bool) or isinstance(self.high, bool):
            message = "low and high are numbers"
            raise ValueError(message)  # noqa: TRY004 - pydantic makes its error of this one
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            message = "low must be below high, and both finite"
            raise ValueError(message)
        if self.log and self.low <= 0:
            message = "a logarithmic range begins above 0"
            raise ValueError(message)
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _different(values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    if not 0 < len(values) <= MAX_CHOICES or len(set(map(repr, values))) < len(values):
        message = f"1 to {MAX_CHOICES} different values to choose from"
        raise ValueError(message)
    return values


def _kind_of(given: object) -> str | None:
    if isinstance(given, list | tuple):
        return f"{TAG}choices"
    return f"{TAG}range" if isinstance(given, dict | Range) else None


Choices = Annotated[
    tuple[Scalar, ...],
    AfterValidator(_different),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": ["boolean", "number", "string"]},
            "minItems": 1,
            "maxItems": MAX_CHOICES,
        }
    ),
]
Space = Annotated[
    Annotated[Range, tagged("range")] | Annotated[Choices, tagged("choices")],
    Discriminator(
        _kind_of,
        custom_error_type="no_space",
        custom_error_message="is a list of values to choose from, or a range with low and high",
    ),
]


class SearchRule(PolicyPart):
    """What is looked for, how often, and how long.

    Attributes:
        trials: how many sets of parameters are tried, beside the declared ones.
        seconds: no trial begins that would likely end later.
        share: the newest share of the training rows, by time, on which trials are compared.
        metric: by which; the task's main one unless it is named.
        params: by name, the values to choose from, or a range.
    """

    trials: int = Field(default=30, ge=1, le=1_000)
    seconds: float = Field(default=600.0, gt=0, le=86_400)
    share: float = Field(default=0.25, gt=0, le=0.5)
    metric: MetricName | None = None
    params: dict[str, Space] = Field(min_length=1, max_length=50)

    @property
    def length(self) -> timedelta:
        """How long it may take."""
        return timedelta(seconds=self.seconds)
