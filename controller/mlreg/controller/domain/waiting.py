"""What waits: a firing that a rule held back, of which something would be lost.

A due time comes again, and a drift is looked at again. A call, or a new version of another model,
happened once: held back by quiet hours, a freeze, an outage, an open run, the cooldown or the
budget, it waits until that is over and fires then, once, with all that came meanwhile.

What always holds: what waits is in one firing with a run, unless its trigger is gone or the policy
is disabled; what is kept of it is bounded (the newest `MOST_SHOWN` with their evidence), that it
waits, and since when, is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.domain.firing import Outcome
from mlreg.controller.domain.triggers import Finding, Held

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mlreg.controller.domain.firing import Ruling

MOST_SHOWN = 20
"""So many of what waits are named in the firing to come, with so many pieces of evidence."""

WORDS: Mapping[str, str] = {
    "archived": "the model to be restored",
    "quiet": "the end of quiet hours",
    "frozen": "the freeze to be lifted",
    "outage": "the feed to come back",
    "busy": "the open run to end",
    "cooldown": "the cooldown",
    "budget": "the budget",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """What a trigger found at a moment that does not come again."""

    trigger: str
    at: datetime
    because: str
    evidence: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "trigger": self.trigger,
            "at": self.at.isoformat(),
            "because": self.because,
            "evidence": [dict(one) for one in self.evidence],
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Happened:
        """Read what `to_json` wrote."""
        at = datetime.fromisoformat(form["at"])
        return cls(form["trigger"], at, form["because"], tuple(form["evidence"]))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A firing that waits for what holds it back to end.

    Attributes:
        why: the rule that holds it back.
        since: when one first did.
        until: when it ends; None: nobody knows.
        first: by trigger, when the first happened of what waits; a trigger that is not in it is
            judged again.
        happened: the newest of it, oldest first.
        told: the triggers that a firing was recorded of.
        rest: what a newer mlreg remembers beside it, as it wrote it (see `PolicyMemory`).
    """

    why: Outcome
    since: datetime
    until: datetime | None = None
    first: Mapping[str, datetime] = field(default_factory=dict)
    happened: tuple[Happened, ...] = ()
    told: tuple[str, ...] = ()
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """What it waits for, in words; of a newer mlreg's rule only the name is known."""
        return WORDS.get(self.why, self.why)

    def joined(self, found: Iterable[Held]) -> Waiting:
        """Return it with what triggers found at moments that do not come again."""
        new = [_happened(one) for one in found]
        first = {**{one.trigger: one.at for one in new}, **self.first}
        return replace(self, first=first, happened=_newest((*self.happened, *new)))

    def held_back(self, ruling: Ruling, told: Iterable[str]) -> Waiting:
        """Return it under the rule that holds it back now."""
        return replace(self, why=ruling.outcome, until=ruling.until, told=tuple(told))

    def only(self, names: Collection[str]) -> Waiting:
        """Return it without what happened to other triggers than these."""
        return self.renamed({name: name for name in names})

    def renamed(self, names: Mapping[str, str]) -> Waiting:
        """Return it with other names of its triggers; those that have none are gone."""
        return replace(
            self,
            first={names[name]: since for name, since in self.first.items() if name in names},
            happened=tuple(
                replace(one, trigger=names[one.trigger])
                for one in self.happened
                if one.trigger in names
            ),
            told=tuple(names[name] for name in self.told if name in names),
        )

    def held(self) -> list[Held]:
        """Return the triggers of what waits, each with all that is kept of it."""
        return [Held(name, since, self._finding(name)) for name, since in self.first.items()]

    def _finding(self, name: str) -> Finding:
        kept = [one for one in self.happened if one.trigger == name]
        said = [one.because for one in kept]
        if not kept or kept[0].at > self.first[name]:
            said.insert(0, f"others since {self.first[name]:%Y-%m-%d %H:%M:%S} UTC")
        because = f"{'; '.join(said)}; waited since {self.since:%Y-%m-%d %H:%M} UTC"
        return Finding.held(because, tuple(dict(part) for one in kept for part in one.evidence))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            **self.rest,
            "why": self.why,
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "first": texts_of(self.first),
            "happened": [one.to_json() for one in self.happened],
            "told": list(self.told),
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Waiting:
        """Read what `to_json` wrote."""
        return cls(
            why=form["why"],
            since=datetime.fromisoformat(form["since"]),
            until=datetime.fromisoformat(form["until"]) if form["until"] else None,
            first=moments_of(form["first"]),
            happened=tuple(map(Happened.from_json, form["happened"])),
            told=tuple(form["told"]),
            rest={key: form[key] for key in form.keys() - _KEYS},
        )

    @classmethod
    def from_quiet(cls, form: Mapping[str, Any]) -> Waiting:
        """Read what an earlier version wrote, in which only quiet hours let anything wait."""
        until, first = datetime.fromisoformat(form["until"]), moments_of(form["waiting"])
        happened = tuple(Happened(name, at, "in quiet hours") for name, at in first.items())
        since = min(first.values(), default=until)
        return cls("quiet", since, until, first, happened, tuple(form["told"]))


_KEYS = frozenset({"why", "since", "until", "first", "happened", "told"})


def _happened(one: Held) -> Happened:
    """Return what is kept of a trigger; that it waited for others is all that is known of some."""
    if one.finding is None:
        return Happened(one.name, one.since, f"held since {one.since:%Y-%m-%d %H:%M} UTC")
    return Happened(one.name, one.since, one.finding.because, one.finding.evidence)


def _newest(happened: tuple[Happened, ...]) -> tuple[Happened, ...]:
    """Return what is named, and of its evidence the newest."""
    room, kept = MOST_SHOWN, []
    for one in reversed(happened[-MOST_SHOWN:]):
        kept.append(replace(one, evidence=one.evidence[-room:] if room else ()))
        room -= len(kept[-1].evidence)
    return tuple(reversed(kept))


def texts_of(moments: Mapping[str, datetime]) -> dict[str, str]:
    """Write moments by name as `moments_of` reads them."""
    return {name: moment.isoformat() for name, moment in moments.items()}


def moments_of(texts: Mapping[str, str]) -> dict[str, datetime]:
    """Read moments back that were written by name, as ISO 8601."""
    return {name: datetime.fromisoformat(text) for name, text in texts.items()}
