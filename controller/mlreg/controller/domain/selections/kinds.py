"""The selections by the key that names them in a policy: the one place that knows them all."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from mlreg.controller.domain.selections.expanding import Expanding
from mlreg.controller.domain.selections.recency import Recency
from mlreg.controller.domain.selections.reservoir import Reservoir
from mlreg.controller.domain.selections.seasonal import Seasonal
from mlreg.controller.domain.selections.since_change import SinceChange
from mlreg.controller.domain.selections.sliding import Sliding
from mlreg.controller.domain.selections.stratified import Stratified

KINDS = (Sliding, Expanding, SinceChange, Recency, Stratified, Seasonal, Reservoir)
_KEYS = tuple(one.kind for one in (*KINDS[:3], *KINDS[4:], KINDS[3]))
"""`half_life` last: it is also a key of `since_change`."""


def _key_of(given: Any) -> str | None:  # noqa: ANN401 - whatever stands in a policy
    if not isinstance(given, dict):
        return getattr(given, "kind", None)
    named = [key for key in _KEYS if key in given]
    if len(named) > 1 and named[-1] == Recency.kind:
        named.pop()
    return named[0] if len(named) == 1 else None


AnySelection = Annotated[
    Annotated[Sliding, Tag("sliding")]
    | Annotated[Expanding, Tag("expanding")]
    | Annotated[SinceChange, Tag("since_change")]
    | Annotated[Recency, Tag("half_life")]
    | Annotated[Stratified, Tag("stratified")]
    | Annotated[Seasonal, Tag("seasonal")]
    | Annotated[Reservoir, Tag("reservoir")],
    Discriminator(
        _key_of,
        custom_error_type="unknown_selection",
        custom_error_message=f"must have exactly one of the keys {', '.join(sorted(_KEYS))}",
    ),
]
SELECTIONS: TypeAdapter[AnySelection] = TypeAdapter(AnySelection)
"""Reads the JSON form of a selection."""
