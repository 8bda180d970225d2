"""What a backtest is made of: models, trainings and contests, a policy's course, and the world.

What always holds: a `World` answers everything that depends on rows, and trains, reads and judges
by the live controller's own code; `backtest_life.replay` lets a policy run in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from mlreg.controller.domain.judging import Verdict
from mlreg.controller.domain.lanes import Lane
from mlreg.controller.domain.policy import Policy
from mlreg.controller.domain.windows import Interval
from mlreg.registry.domain.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mlreg.controller.domain.readings import WindowReading

NOTHING = timedelta()


class TooLittleHistoryError(RefusedError):
    """There is too little to replay."""

    code = "too_little_history"
    hint = "Log predictions with labels over more windows, or name an earlier --from."

    def __init__(self, *, cause: str) -> None:
        super().__init__(f"nothing to replay: {cause}")


@dataclass(frozen=True, slots=True)
class Made:
    """A trained model.

    Attributes:
        key: the same for the same rows, lane, parameters and parent, whoever asked for it.
        seconds: of training; those of the first time where it was trained before.
        train_end: the end (exclusive) of the rows that it was trained on.
    """

    key: str
    trees: int | None
    rows: int
    seconds: float
    train_end: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training that is asked for; the rows follow from the moment and the policy.

    Attributes:
        changed_at: the change point that its rows begin at, where they do.
    """

    at: datetime
    lane: Lane
    policy: Policy
    parent: Made | None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """A challenger to be judged, and who against; the rows follow from what was wanted."""

    wanted: Wanted
    challenger: Made
    champion: Made
    anchor: Made | None


@dataclass(frozen=True, slots=True)
class Mature:
    """A window whose labels are taken to be complete.

    Attributes:
        served: the model that served in it.
        champion: the model that serves now.
        until: labels that came later are not known yet.
        labels: whether it is asked how labels are spread, too.
    """

    window: Interval
    served: Made
    champion: Made
    until: datetime
    labels: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict, and whether the challenger was shown to be better."""

    verdict: Verdict
    superior: bool = False


class World(Protocol):
    """Everything that depends on rows; it may answer the same question from memory.

    Promises: the same question has the same answer, but for the seconds.
    """

    @property
    def monitors(self) -> tuple[Collection[str], Collection[str]]:
        """The monitors that are read as a window closes, and those read once it is mature."""
        ...

    def train(self, wanted: Wanted) -> Made:
        """Train a model.

        Raises:
            RegistryError: the rows cannot be trained on; the run fails, and nothing changes.
        """
        ...

    def judge(self, contest: Contest) -> Found:
        """Judge a challenger by the gates of its policy."""
        ...

    def closed(self, champion: Made, window: Interval) -> Sequence[WindowReading]:
        """Return what is read of a window as it closes, against the champion's training rows."""
        ...

    def matured(self, mature: Mature) -> Sequence[WindowReading]:
        """Return what is read of a window with its labels, of the model that served in it."""
        ...

    def told(
        self, now: WindowReading, before: Sequence[WindowReading], since: datetime
    ) -> Sequence[WindowReading]:
        """Return what detectors tell of a window's loss, those before it, since a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Retraining:
    """A run of the replay.

    Attributes:
        causes: the triggers that fired.
        verdict: `live` where no gate is asked; `failed` where nothing could be trained.
    """

    at: datetime
    lane: Lane
    causes: tuple[str, ...]
    made: Made | None
    verdict: str
    error: str = ""

    @property
    def seconds(self) -> float:
        """What training took."""
        return 0.0 if self.made is None else self.made.seconds


@dataclass(slots=True)
class Course:
    """What became of a policy.

    Attributes:
        served: which model served in each window, in order.
        held: how many firings a rule held back, by its name.
    """

    windows: list[Interval] = field(default_factory=list)
    served: list[Made] = field(default_factory=list)
    runs: list[Retraining] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a replay goes, the same for every policy.

    Attributes:
        gates: whether challengers are judged; else each goes live.
        goes_live_after: how long after its moment a model serves.
        outages: when a feed was down: the rows are left out, and nothing retrains.
        trees_per_round: how many a boosting round adds: one, or one per class.
    """

    gates: bool = False
    goes_live_after: timedelta = NOTHING
    outages: tuple[Interval, ...] = ()
    trees_per_round: int = 1


DEFAULT_TERMS = Terms()
