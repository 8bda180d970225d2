"""What a run is to do, frozen when it is asked for: a later policy changes nothing about it.

What always holds: the windows follow from the moment of the request alone, so every attempt of a
run sees the same rows; the evaluation begins where the training ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.windows import HOUR, Interval, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_GATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "binary": (
        {"champion": "log_loss", "margin": 0.001},
        {"baseline": "prior", "metric": "log_loss"},
    ),
    "regression": ({"champion": "mae"}, {"baseline": "prior", "metric": "mae"}),
}
"""The gates of a run without a policy, by task."""


@dataclass(frozen=True, slots=True)
class RunWindows:
    """The rows of a run by the time of their predictions.

    Attributes:
        labels_until: labels that came later do not count.
    """

    train: Interval
    evaluate: Interval
    labels_until: datetime


class RunSpecification(BaseModel):
    """How a run trains, on what, and how its challenger is judged.

    Attributes:
        auto_promote: whether an accepted challenger is promoted by the run itself.
        git: the working tree that the policy (or the request) came from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    data: DataRule
    retrain: RetrainRule
    gates: tuple[dict[str, Any], ...]
    auto_promote: bool = False
    git: dict[str, Any] | None = None
    reason: str = ""

    def windows(self, asked_at: datetime) -> RunWindows:
        """Return the windows of a run that was asked for at a moment."""
        end = window_of(asked_at - self.data.label_delay, HOUR).start
        middle = end - self.data.evaluate_window
        train = Interval(middle - self.data.train_window, middle)
        return RunWindows(train, Interval(middle, end), asked_at)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which `model_validate` reads back."""
        return self.model_dump(mode="json", by_alias=True)
