"""What a trigger is, what it sees, and how several make one firing.

What always holds: a trigger is pure: it sees a view (times and final readings) and returns a
finding with the readings that it rests on; with nothing to rest on it does not hold. A firing needs
a trigger that was found to hold at this very moment; the others may have come to hold before.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from mlreg.controller.domain.readings import WindowReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a trigger may look at.

    Attributes:
        now: the moment that is judged, business time.
        previous: the moment that was judged before it (a schedule's open end).
        watermark: up to where labelled rows were offered to the last run; None: no run yet.
        promoted_at: since when the champion serves; None: there is none.
        readings: by monitor, in any order, of every state.
    """

    now: datetime
    previous: datetime
    watermark: datetime | None = None
    promoted_at: datetime | None = None
    readings: Mapping[str, tuple[WindowReading, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """The readings that a trigger has to be shown: those of these monitors that end after."""

    monitors: tuple[str, ...] = ()
    after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a trigger holds, in one sentence, with its readings."""

    holds: bool
    because: str
    evidence: tuple[dict[str, object], ...] = ()


class Trigger(BaseModel):
    """One condition of a policy; a subclass is one file with typed fields.

    `kind` is its word in the policy file and the name of its first field. Third parties add theirs
    by the entry point group `mlreg.triggers`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]

    @abstractmethod
    def judge(self, view: View) -> Finding:
        """Say whether the trigger holds at `view.now`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The features that it names, if any."""
        return ()

    def need(self, view: View) -> Need:  # noqa: ARG002 - by default a trigger reads nothing
        """Return the readings that `judge` wants to see; the view has none yet."""
        return Need()

    def next_due(self, after: datetime) -> datetime | None:  # noqa: ARG002 - most follow windows
        """Return when it is to be judged next by itself; None: whenever a window is ready."""
        return None

    @property
    def patience(self) -> timedelta:
        """How long it stays held after a moment at which it held, under `all` or `at_least`."""
        return timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Combination:
    """How many triggers must hold at once, of all that are declared."""

    at_least: int
    declared: int


@dataclass(frozen=True, slots=True)
class Held:
    """A trigger that holds now, or held so recently that it still counts."""

    name: str
    since: datetime
    finding: Finding | None = None


def combine(held: Sequence[Held], combination: Combination) -> bool:
    """Say whether these make a firing: enough of them hold, one of them newly found."""
    newly = any(one.finding is not None for one in held)
    return newly and len({one.name for one in held}) >= combination.at_least


def names_of(triggers: Iterable[Trigger]) -> tuple[str, ...]:
    """Return a name for each trigger: its kind, numbered where a kind is declared twice."""
    names: list[str] = []
    for trigger in triggers:
        seen = sum(1 for name in names if name.split(":")[0] == trigger.kind)
        names.append(trigger.kind if seen == 0 else f"{trigger.kind}:{seen + 1}")
    return tuple(names)
