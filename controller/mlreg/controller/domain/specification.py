"""What a run is to do, frozen when it is asked for: a later policy changes nothing about it.

What always holds: the windows follow from the moment of the request and from what was known then,
so every attempt of a run sees the same rows; the evaluation begins where the training ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mlreg.controller.domain.data_rule import DataRule
from mlreg.controller.domain.policy import RetrainRule
from mlreg.controller.domain.remembering import MemoryRule
from mlreg.controller.domain.selections.selection import Past, holes
from mlreg.controller.domain.too_new import TooNewError
from mlreg.controller.domain.windows import HOUR, Interval, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_GATES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "binary": (
        {"champion": "log_loss", "margin": 0.001},
        {"baseline": "prior", "metric": "log_loss"},
    ),
    "multiclass": (
        {"champion": "log_loss", "margin": 0.001},
        {"baseline": "prior", "metric": "log_loss"},
    ),
    "regression": ({"champion": "mae"}, {"baseline": "prior", "metric": "mae"}),
    "ranking": (
        {"champion": "ndcg", "margin": 0.002},
        {"baseline": "prior", "metric": "ndcg"},
    ),
}
"""The gates of a run without a policy, by task."""

_NEWER = frozenset({"changed_at", "start_from", "lane_because", "memory"})


@dataclass(frozen=True, slots=True)
class RunWindows:
    """The rows of a run by the time of their predictions.

    Attributes:
        train: from the first to the last row that trains.
        evaluate: what judges; it begins where the training ends.
        labels_until: labels that came later do not count.
        left_out: times between the first and the last row that do not train.
    """

    train: Interval
    evaluate: Interval
    labels_until: datetime
    left_out: tuple[Interval, ...] = ()


class RunSpecification(BaseModel):
    """How a run trains, on what, and how its challenger is judged.

    Attributes:
        auto_promote: whether an accepted challenger is promoted by the run itself.
        git: the working tree that the policy (or the request) came from.
        changed_at: the change point that its rows begin at, where they do.
        start_from: the version that a stateful lane begins with; None: the champion.
        memory: whether older versions are looked at before anything is trained.
        lane_because: why it trains the way it does, in a line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    data: DataRule
    retrain: RetrainRule
    gates: tuple[dict[str, Any], ...]
    auto_promote: bool = False
    git: dict[str, Any] | None = None
    reason: str = ""
    changed_at: datetime | None = None
    start_from: int | None = None
    lane_because: str | None = None
    memory: MemoryRule | None = None

    def windows(self, asked_at: datetime, first: datetime | None = None) -> RunWindows:
        """Return the windows of a run that was asked for at a moment.

        Args:
            asked_at: business time.
            first: the time of the oldest row, None where it is not known.
        """
        past, evaluate = self._past(asked_at, first)
        stretches = self.data.selection.stretches(past)
        train = Interval(stretches[0].start, stretches[-1].end)
        return RunWindows(train, evaluate, asked_at, holes(stretches))

    def past_of(self, train: Interval) -> Past:
        """Return what the rows of this frozen range were selected from."""
        return Past(train.end, self.data.train_window, train.start, self.changed_at)

    def _past(self, asked_at: datetime, first: datetime | None) -> tuple[Past, Interval]:
        end = window_of(asked_at - self.data.label_delay, HOUR).start
        whole = Past(end, self.data.train_window, first, self.changed_at)
        middle = end - self.data.selection.evaluated(whole, self.data.evaluate_window)
        return replace(whole, until=middle), Interval(middle, end)

    @classmethod
    def read(cls, form: Mapping[str, Any], what: str) -> Self:
        """Return the specification that `to_json` wrote, here or in another process.

        Raises:
            TooNewError: a newer mlreg wrote it, and says more than this one knows.
        """
        try:
            return cls.model_validate(form)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
            raise TooNewError(what=what, problem=problem) from error

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which `model_validate` reads back.

        What is not said is left out: an older server reads such a specification too.
        """
        form = self.model_dump(mode="json", by_alias=True)
        return {key: form[key] for key in form if key not in _NEWER or form[key] is not None}
