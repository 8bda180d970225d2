"""The selections by the key that names them in a policy: the one place that knows them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import TypeAdapter

from mlreg.controller.domain.policy_part import tagged, told_by_key
from mlreg.controller.domain.selections.expanding import Expanding
from mlreg.controller.domain.selections.recency import Recency
from mlreg.controller.domain.selections.reservoir import Reservoir
from mlreg.controller.domain.selections.seasonal import Seasonal
from mlreg.controller.domain.selections.since_change import SinceChange
from mlreg.controller.domain.selections.sliding import Sliding
from mlreg.controller.domain.selections.stratified import Stratified

KINDS = (Sliding, Expanding, SinceChange, Recency, Stratified, Seasonal, Reservoir)

AnySelection = Annotated[
    Annotated[Sliding, tagged("sliding")]
    | Annotated[Expanding, tagged("expanding")]
    | Annotated[SinceChange, tagged("since_change")]
    | Annotated[Recency, tagged("half_life")]
    | Annotated[Stratified, tagged("stratified")]
    | Annotated[Seasonal, tagged("seasonal")]
    | Annotated[Reservoir, tagged("reservoir")],
    told_by_key([one.kind for one in KINDS], "unknown_selection", shared=Recency.kind),
]
SELECTIONS: TypeAdapter[AnySelection] = TypeAdapter(AnySelection)
"""Reads the JSON form of a selection."""
