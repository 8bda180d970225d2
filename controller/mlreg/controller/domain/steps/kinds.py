"""The data steps by the key that names them in a policy: the one place that knows them all."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from mlreg.controller.domain.steps.class_weights import ClassWeights
from mlreg.controller.domain.steps.hashed import Hashed
from mlreg.controller.domain.steps.noise import Noise
from mlreg.controller.domain.steps.outages import Outages
from mlreg.controller.domain.steps.subsample import Subsample
from mlreg.controller.domain.steps.upsample import Upsample

KINDS = (Outages, Noise, Subsample, Upsample, ClassWeights, Hashed)
_KEYS = ("outages", "noise", "subsample", "upsample", "class_weights", "hashed")


def _key_of(given: Any) -> str | None:  # noqa: ANN401 - whatever stands in a policy
    if not isinstance(given, dict):
        return getattr(given, "kind", None)
    named = [key for key in _KEYS if key in given]
    return named[0] if len(named) == 1 else None


AnyStep = Annotated[
    Annotated[Outages, Tag("outages")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[Subsample, Tag("subsample")]
    | Annotated[Upsample, Tag("upsample")]
    | Annotated[ClassWeights, Tag("class_weights")]
    | Annotated[Hashed, Tag("hashed")],
    Discriminator(
        _key_of,
        custom_error_type="unknown_step",
        custom_error_message=f"must have exactly one of the keys {', '.join(sorted(_KEYS))}",
    ),
]
STEPS: TypeAdapter[tuple[AnyStep, ...]] = TypeAdapter(tuple[AnyStep, ...])
"""Reads the JSON form of a list of steps."""
