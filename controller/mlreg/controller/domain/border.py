"""When a value is far, when it went back, and how many of the newest windows have to be.

What always holds: a border has one side; where a value goes back (`release`) lies on the near side
of it or upon it, so that what is far is never back; of `windows: {k: 3, of: 5}` k is at most of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator
from typing_extensions import override

from mlreg.controller.domain.policy_part import also_written

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_WINDOWS = 60


def said(*keys: str, is_a: str = "number") -> dict[str, Any]:
    """Return the JSON Schema of parts in which each of these keys has a value."""
    return {"required": list(keys), "properties": {key: {"type": is_a} for key in keys}}


ONE_SIDED: Sequence[dict[str, Any]] = (
    {"not": said("above", "below")},
    {"if": said("release_below"), "then": said("above")},
    {"if": said("release_above"), "then": said("below")},
)
"""What a JSON Schema can say of a border; that a release lies on the near side, it cannot."""
_NUMBER = {"type": "integer", "minimum": 1, "maximum": MOST_WINDOWS}


class KOfN(BaseModel):
    """`windows: 2` (two on end) or `windows: {k: 3, of: 5}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=also_written(_NUMBER))

    k: int = Field(ge=1, le=MOST_WINDOWS)
    of: int = Field(ge=1, le=MOST_WINDOWS)

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:  # noqa: ANN401 - whatever the file says
        if isinstance(value, int) and not isinstance(value, bool):
            return {"k": value, "of": value}
        if isinstance(value, dict | KOfN):
            return value
        message = "windows is a number, or {k: 3, of: 5}"
        raise ValueError(message)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.k > self.of:
            message = f"{self.k} of {self.of} windows can never be"
            raise ValueError(message)
        return self

    @model_serializer(mode="plain")
    def _spell(self) -> int | dict[str, int]:
        return self.k if self.k == self.of else {"k": self.k, "of": self.of}

    @override
    def __str__(self) -> str:
        """Return `2 windows`, `3 of 5 windows`."""
        windows = "1 window" if self.of == 1 else f"{self.of} windows"
        return windows if self.k == self.of else f"{self.k} of {windows}"

    def are(self, far: Sequence[bool]) -> bool:
        """Say whether enough of the newest windows are; given oldest first."""
        return sum(far[-self.of :]) >= self.k

    def short_of(self, far: Sequence[bool]) -> int:
        """Return how many more windows would have to be."""
        return max(self.k - sum(far[-self.of :]), 0)


ONE = KOfN(k=1, of=1)


@dataclass(frozen=True, slots=True)
class Border:
    """One side of a number: above it or below it is far; at `release` or beyond it is back."""

    above: float | None = None
    below: float | None = None
    release: float | None = None

    @classmethod
    def of(
        cls,
        above: float | None,
        below: float | None,
        release_below: float | None,
        release_above: float | None,
    ) -> Border:
        """Return the border that four keys spell.

        Raises:
            ValueError: they contradict each other.
        """
        problem = _problem(above, below, release_below, release_above)
        if problem:
            raise ValueError(problem)
        return cls(above, below, release_below if above is not None else release_above)

    @property
    def is_there(self) -> bool:
        """Whether there is any."""
        return self.above is not None or self.below is not None

    def is_far(self, value: float) -> bool:
        """Say whether a value lies beyond it; without a border every value does."""
        if self.above is not None:
            return value > self.above
        return self.below is None or value < self.below

    def is_back(self, value: float) -> bool:
        """Say whether a value went back; without a release that is: is not far."""
        if self.release is None or not self.is_there:
            return not self.is_far(value)
        return value <= self.release if self.above is not None else value >= self.release

    @override
    def __str__(self) -> str:
        """Return `above 0.2`, `below 0.7`."""
        if self.above is not None:
            return f"above {self.above:g}"
        return "" if self.below is None else f"below {self.below:g}"


def _problem(
    above: float | None,
    below: float | None,
    release_below: float | None,
    release_above: float | None,
) -> str:
    if above is not None and below is not None:
        return "has `above` and `below`: one trigger watches one side, declare two"
    if release_below is not None and (above is None or release_below > above):
        return _release("release_below", release_below, "above", above)
    if release_above is not None and (below is None or release_above < below):
        return _release("release_above", release_above, "below", below)
    return ""


def _release(key: str, release: float, side: str, border: float | None) -> str:
    if border is None:
        return f"`{key}` goes with `{side}`"
    return f"`{key}: {release:g}` lies beyond `{side}: {border:g}`: it would be back while it fires"
