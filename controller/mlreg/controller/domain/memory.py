"""What the controller remembers of a policy from one tick to the next.

What always holds: the two borders only move forward: windows before `closed_until` are read, those
before `matured_until` are read with their labels; `judged_at` is the newest moment at which the
triggers were judged; an event is shown to its trigger once, for its serial number is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlreg.controller.domain.collecting import Collection
from mlreg.controller.domain.outage import Suspicion
from mlreg.controller.domain.triggers import BY_HAND, Event
from mlreg.controller.domain.waiting import Waiting, moments_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a webhook trigger, or of the policy by hand, that waits to be judged."""

    trigger: str
    event: Event

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "trigger": self.trigger,
            "serial": self.event.serial,
            "at": self.event.at.isoformat(),
            "what": self.event.what,
            "evidence": dict(self.event.evidence),
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Call:
        """Read what `to_json` wrote."""
        at = datetime.fromisoformat(form["at"])
        return cls(form["trigger"], Event(form["serial"], at, form["what"], form["evidence"]))


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class PolicyMemory(NamedTuple):
    """Borders, the triggers that came to hold and wait for others, and a suspected outage.

    A named tuple: each judging changes it some times, which takes a frozen dataclass ten times as
    long.

    Attributes:
        held: since when triggers hold that wait for others.
        noticed: the moment that is due, and when somebody first looked after it.
        waiting: a firing that a rule held back, and what would be lost of it.
        champion: the version under which `spent` came to be.
        spent: by trigger, the subjects whose excursion a run has come of.
        seen: by source of events, the serial number of the newest that was shown.
        calls: those that wait to be judged, oldest first.
        called: how many there ever were.
        woken: when something came that an upstream trigger follows.
        collection: the rows that are collected after a change, or were trained on since.
        disabled: the spans since `judged_at` in which the policy was not enabled, oldest first.
        disabled_at: since when it is not; None: it is.
        rest: what a newer mlreg remembers beside it, as it wrote it: in a rolling upgrade what an
            older process writes back is all there.
    """

    closed_until: datetime
    matured_until: datetime
    judged_at: datetime
    held: Mapping[str, datetime] = _NOTHING
    suspicion: Suspicion | None = None
    noticed: tuple[datetime, datetime] | None = None
    waiting: Waiting | None = None
    champion: int | None = None
    spent: Mapping[str, tuple[str, ...]] = _NOTHING
    seen: Mapping[str, int] = _NOTHING
    calls: tuple[Call, ...] = ()
    called: int = 0
    woken: datetime | None = None
    collection: Collection | None = None
    disabled: tuple[tuple[datetime, datetime], ...] = ()
    disabled_at: datetime | None = None
    rest: Mapping[str, Any] = _NOTHING

    @property
    def asked(self) -> tuple[datetime, ...]:
        """The moments at which somebody asked for a look."""
        woken = () if self.woken is None else (self.woken,)
        return (*(call.event.at for call in self.calls), *woken)

    def anew(self, at: datetime, names: Mapping[str, str]) -> PolicyMemory:
        """Return the memory under other triggers: what was read stays read, they begin anew.

        What waits goes on waiting for the triggers that stay.

        Args:
            at: business time.
            names: of the triggers that stay, as they were called and as they are called now.
        """
        memory = self.judged(at)._replace(held={}, noticed=None, spent={})
        waiting = self.waiting and self.waiting.renamed({**names, BY_HAND: BY_HAND})
        return memory._replace(waiting=waiting if waiting and waiting.first else None)

    def stopped(self, at: datetime) -> PolicyMemory:
        """Return the memory of a policy that is disabled."""
        return self._replace(disabled_at=at)

    def resumed(self, at: datetime) -> PolicyMemory:
        """Return the memory of a policy that is enabled again: what was due meanwhile is not.

        Nor does anything wait any longer, unless what it waits for is known to go on.
        """
        since = self.judged_at if self.disabled_at is None else self.disabled_at
        waiting = self.waiting
        goes_on = waiting is not None and waiting.until is not None and waiting.until > at
        over = () if waiting is None or goes_on else waiting.first
        return self._replace(
            held={name: moment for name, moment in self.held.items() if name not in over},
            waiting=waiting if goes_on else None,
            disabled=(*self.disabled, (since, max(since, at))),
            disabled_at=None,
        )

    def judged(self, at: datetime) -> PolicyMemory:
        """Return the memory after a moment was judged; judged moments only move forward."""
        newest = max(at, self.judged_at)
        left = tuple(span for span in self.disabled if span[1] > newest)
        return self._replace(judged_at=newest, disabled=left)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            **self.rest,
            "closed_until": self.closed_until.isoformat(),
            "matured_until": self.matured_until.isoformat(),
            "judged_at": self.judged_at.isoformat(),
            "held": texts_of(self.held),
            "suspicion": self.suspicion.to_json() if self.suspicion else None,
            "noticed": [one.isoformat() for one in self.noticed] if self.noticed else None,
            "waiting": self.waiting.to_json() if self.waiting else None,
            "champion": self.champion,
            "spent": {name: list(subjects) for name, subjects in self.spent.items()},
            "seen": dict(self.seen),
            "calls": [call.to_json() for call in self.calls],
            "called": self.called,
            "woken": self.woken.isoformat() if self.woken else None,
            "collection": self.collection.to_json() if self.collection else None,
            "disabled": [[one.isoformat() for one in span] for span in self.disabled],
            "disabled_at": self.disabled_at.isoformat() if self.disabled_at else None,
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> PolicyMemory:
        """Read what `to_json` wrote, in this version or an earlier one."""
        suspicion, waiting, noticed = (form.get(key) for key in ("suspicion", "waiting", "noticed"))
        collection = form.get("collection")
        return cls(
            closed_until=datetime.fromisoformat(form["closed_until"]),
            matured_until=datetime.fromisoformat(form["matured_until"]),
            judged_at=datetime.fromisoformat(form["judged_at"]),
            held=moments_of(form["held"]),
            suspicion=Suspicion.from_json(suspicion) if suspicion else None,
            noticed=_pair(noticed) if noticed else None,
            waiting=Waiting.from_json(waiting) if waiting else _quiet(form),
            champion=form.get("champion"),
            spent={name: tuple(subjects) for name, subjects in form.get("spent", {}).items()},
            seen=form.get("seen", {}),
            calls=tuple(Call.from_json(call) for call in form.get("calls", ())),
            called=form.get("called", 0),
            woken=datetime.fromisoformat(form["woken"]) if form.get("woken") else None,
            collection=Collection.from_json(collection) if collection else None,
            disabled=tuple(_pair(span) for span in form.get("disabled", ())),
            disabled_at=datetime.fromisoformat(at) if (at := form.get("disabled_at")) else None,
            rest={key: form[key] for key in form.keys() - _KEYS},
        )


_KEYS = frozenset(PolicyMemory._fields) - {"rest"} | {"quiet"}


def _quiet(form: Mapping[str, Any]) -> Waiting | None:
    return Waiting.from_quiet(form["quiet"]) if form.get("quiet") else None


def _pair(texts: list[str]) -> tuple[datetime, datetime]:
    first, second = map(datetime.fromisoformat, texts)
    return first, second
