"""The data steps by the key that names them in a policy: the one place that knows them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import TypeAdapter

from mlreg.controller.domain.policy_part import tagged, told_by_key
from mlreg.controller.domain.steps.class_weights import ClassWeights
from mlreg.controller.domain.steps.hashed import Hashed
from mlreg.controller.domain.steps.noise import Noise
from mlreg.controller.domain.steps.outages import Outages
from mlreg.controller.domain.steps.subsample import Subsample
from mlreg.controller.domain.steps.upsample import Upsample

KINDS = (Outages, Noise, Subsample, Upsample, ClassWeights, Hashed)

AnyStep = Annotated[
    Annotated[Outages, tagged("outages")]
    | Annotated[Noise, tagged("noise")]
    | Annotated[Subsample, tagged("subsample")]
    | Annotated[Upsample, tagged("upsample")]
    | Annotated[ClassWeights, tagged("class_weights")]
    | Annotated[Hashed, tagged("hashed")],
    told_by_key([one.kind for one in KINDS], "unknown_step"),
]
STEPS: TypeAdapter[tuple[AnyStep, ...]] = TypeAdapter(tuple[AnyStep, ...])
"""Reads the JSON form of a list of steps."""
