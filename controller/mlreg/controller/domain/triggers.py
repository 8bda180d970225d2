"""What a trigger is, what it sees, and how several make one firing.

What always holds: a trigger is pure: it sees a view (times, final readings, events) and returns a
finding with the readings that it rests on; with nothing to rest on it does not hold. A firing needs
a trigger that was found to hold at this very moment; the others may have come to hold before.
`evaluating.judge_moment` shows each trigger its view and makes the findings into a firing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlreg.controller.domain.readings import WindowReading

BY_HAND = "manual"
"""The name of a firing that a person asked for; no trigger of a policy has it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once: a call of a webhook, a version that became champion elsewhere.

    Attributes:
        serial: counts up within its source, in the order in which events were committed.
        what: one phrase for people.
        evidence: what came with it, JSON; small.
    """

    serial: int
    at: datetime
    what: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class View(NamedTuple):
    """Everything that a trigger may look at.

    A named tuple, as are the others that each judging makes: frozen dataclasses take five times as
    long to make, and more to change.

    Attributes:
        now: the moment that is judged, business time.
        previous: the moment that was judged before it (a schedule's open end).
        late: how long after this moment anybody first looked; more than seconds: all were down.
        width: the length of the policy's windows.
        watermark: up to where labelled rows were offered to the last run; None: no run yet.
        last_run_at: when the last run was asked for; None: no run yet.
        promoted_at: since when the champion serves; None: there is none.
        readings: by monitor, in any order, of every state.
        events: those that it asked for and was not shown before, oldest first.
        spent: the subjects whose present excursion it has fired for under this champion.
        disabled: the spans since `previous` in which the policy was not enabled, oldest first.
    """

    now: datetime
    previous: datetime
    late: timedelta = timedelta()
    width: timedelta = timedelta(days=1)
    watermark: datetime | None = None
    last_run_at: datetime | None = None
    promoted_at: datetime | None = None
    champion: int | None = None
    readings: Mapping[str, tuple[WindowReading, ...]] = _NOTHING
    events: tuple[Event, ...] = ()
    spent: frozenset[str] = frozenset()
    disabled: tuple[tuple[datetime, datetime], ...] = ()


class Need(NamedTuple):
    """What a trigger has to be shown.

    Attributes:
        monitors: it wants the readings of these monitors that end after `after`.
        families: and those of every monitor whose name begins with one of these.
        evidence: whether it looks at what readings rest on; else they come without.
        events: the source whose new events it wants: `webhook:NAME`, `upstream:REFERENCE`.
    """

    monitors: tuple[str, ...] = ()
    after: datetime | None = None
    families: tuple[str, ...] = ()
    evidence: bool = False
    events: str | None = None


class Finding(NamedTuple):
    """Whether a trigger holds, in one sentence, with its readings.

    Attributes:
        missing: what would have to come for it to hold; empty where nobody can say.
        subjects: what its excursions are about (features; `""` for the whole); once a run came of
            it they are spent until they are found `back`, or another champion serves.
        missed: how many due times passed while nobody looked.
    """

    holds: bool
    because: str
    evidence: tuple[dict[str, object], ...] = ()
    missing: str = ""
    subjects: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    missed: int = 0

    @classmethod
    def held(
        cls,
        because: str,
        evidence: tuple[dict[str, object], ...] = (),
        *,
        subjects: tuple[str, ...] = (),
        back: tuple[str, ...] = (),
    ) -> Finding:
        """Return that it holds."""
        return cls(holds=True, because=because, evidence=evidence, subjects=subjects, back=back)

    @classmethod
    def not_held(
        cls,
        because: str,
        evidence: tuple[dict[str, object], ...] = (),
        missing: str = "",
        *,
        back: tuple[str, ...] = (),
    ) -> Finding:
        """Return that it does not hold, and what would have to come."""
        return cls(holds=False, because=because, evidence=evidence, missing=missing, back=back)


class Trigger(BaseModel):
    """One condition of a policy; a subclass is one file with typed fields.

    `kind` is its word in the policy file and the name of its first field. Third parties add theirs
    by the entry point group `mlreg.triggers`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    momentary: ClassVar[bool] = False
    """Whether it holds at single moments (a due time, a call), not for as long as readings say."""
    recurs: ClassVar[bool] = False
    """Whether such moments come again by themselves: one that a rule held back may be let go."""

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

    @property
    def monitors(self) -> tuple[str, ...]:
        """The monitors that it reads, by name: a policy that names an unknown one is refused."""
        return ()

    def next_due(self, after: datetime) -> datetime | None:  # noqa: ARG002 - most follow windows
        """Return when it is to be judged next by itself; None: whenever a window is ready."""
        return None

    def due_by(self, after: datetime, until: datetime) -> datetime | None:
        """Return the due time in (after, until] to be judged at: the newest, what it missed aside.

        Third parties may leave this as it is: it walks over `next_due`.
        """
        due, newest = self.next_due(after), None
        while due is not None and due <= until:
            newest, due = due, self.next_due(due)
        return newest

    @property
    def in_order(self) -> bool:
        """Whether no due time may be passed over, however many there are."""
        return False

    @property
    def patience(self) -> timedelta:
        """How long it stays held after a moment at which it held, under `all` or `at_least`.

        A time has come, a call was made: that waits longer for the others than what lasts.
        """
        return timedelta(days=7 if self.momentary else 1)


@dataclass(frozen=True, slots=True)
class Combination:
    """How many triggers must hold at once, of all that are declared.

    `within`: one that held counts for so long; None: for its own `patience`.
    """

    at_least: int
    declared: int
    within: timedelta | None = None


class Held(NamedTuple):
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
    seen: dict[str, int] = {}
    for trigger in triggers:
        kind = trigger.kind
        seen[kind] = number = seen.get(kind, 0) + 1
        names.append(kind if number == 1 else f"{kind}:{number}")
    return tuple(names)
