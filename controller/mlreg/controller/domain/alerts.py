"""Alerts: from unusual windows to as few words as tell of them; one state machine for each cause.

A cause is watched from its first unusual window (`pending`), becomes an alert when the same thing
was unusual in k of the last n windows (`open`), and is over after m windows in which none of the
alert's things was. "The same thing" matters: of five hundred features some look odd in most
windows, by chance, but seldom the same ones.

What always holds: a cause has at most one alert at a time; between its end and its next beginning
lie k unusual windows; a window that is looked at again counts once; while it is snoozed nobody is
told anything; whatever is told is a `Notice`, and a notice is always written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mlreg.controller.domain.alert_rule import SEVERITIES, AlertRule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Phase = Literal["pending", "open", "resolved", "closed"]
What = Literal[
    "opened", "grown", "escalated", "reminded", "snoozed", "unsnoozed", "resolved", "closed"
]
TOLD: Mapping[What, str] = {
    "opened": "alert.opened",
    "escalated": "alert.escalated",
    "reminded": "alert.reminded",
    "snoozed": "alert.snoozed",
    "resolved": "alert.resolved",
    "closed": "alert.resolved",
}
"""The topics of what others are told; the rest is only written down."""
MAX_CULPRITS = 1_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one window says of one cause.

    Attributes:
        culprits: what is unusual in it, the strongest first.
        explained: what would be unusual, and an outage explains it.
        because: which outage.
        judged: whether the window says anything; False takes back what it said before.
        again: the window is one of the past, looked at again; it opens nothing.
    """

    start: datetime
    culprits: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    because: str = ""
    judged: bool = True
    again: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One window in the memory of a cause."""

    start: datetime
    culprits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A cause that is watched, and what is remembered of it.

    Attributes:
        seen: the last windows that said something, oldest first.
        culprits: what the alert is about, the strongest first; none before it is open.
        unusual: windows since it opened, and the one that opened it, with one of its culprits.
        louder: the rule has made it louder already.
        remind_at: when it is to be told again, if nothing happens.
        snoozed_until: until then nobody is told.
        after: windows up to this one were the last alert's, and do not count again.
    """

    phase: Phase
    severity: Severity
    seen: tuple[Seen, ...] = ()
    culprits: tuple[str, ...] = ()
    unusual: int = 0
    louder: bool = False
    remind_at: datetime | None = None
    snoozed_until: datetime | None = None
    after: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is watched still."""
        return self.phase in {"pending", "open"}

    def is_snoozed(self, now: datetime) -> bool:
        """Whether nobody is to be told at this moment."""
        return self.snoozed_until is not None and now < self.snoozed_until

    def memory(self) -> dict[str, Any]:
        """Return what `remembered` reads, beside the columns."""
        return {
            "seen": [[one.start.isoformat(), list(one.culprits)] for one in self.seen],
            "unusual": self.unusual,
            "louder": self.louder,
            "after": None if self.after is None else self.after.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened to an alert; `quiet`: people are not told."""

    what: What
    line: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The alert after a step, None when nothing is left to be watched; and what happened."""

    alert: Alert | None
    notices: tuple[Notice, ...] = field(default=())


def remembered(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an alert that `Alert.memory` wrote."""
    seen = tuple(Seen(datetime.fromisoformat(at), tuple(names)) for at, names in memory["seen"])
    after = memory["after"] and datetime.fromisoformat(memory["after"])
    return {**memory, "seen": seen, "after": after}


def begin(sighting: Sighting, rule: AlertRule, last: Alert | None) -> Alert | None:
    """Begin to watch a cause with an unusual window; None where there is nothing to begin.

    Args:
        sighting: the window.
        rule: of its kind.
        last: the cause's last alert: its windows do not count again, and its snooze lasts.
    """
    after = None if last is None else last.seen[-1].start if last.seen else last.after
    if not sighting.culprits or sighting.again or (after is not None and sighting.start <= after):
        return None
    snoozed_until = None if last is None else last.snoozed_until
    return Alert("pending", rule.severity, snoozed_until=snoozed_until, after=after)


def look(alert: Alert, sighting: Sighting, rule: AlertRule, now: datetime) -> Step:
    """Take one window into account."""
    if not _counts(alert, sighting):
        return Step(alert)
    was_unusual = _is_unusual(alert, sighting.start)
    alert = replace(alert, seen=_with(alert.seen, sighting, rule))
    recurring = _recurring(alert.seen, rule)
    if alert.phase == "pending":
        return _pending(alert, recurring, rule, now)
    fresh = [name for name in recurring if name not in alert.culprits]
    alert = replace(alert, culprits=_ranked({*alert.culprits, *fresh}, alert.seen))
    is_unusual = _is_unusual(alert, sighting.start)
    if is_unusual and not was_unusual:
        alert = replace(alert, unusual=alert.unusual + 1)
    taken_back = was_unusual and not is_unusual and not recurring
    over = _over(alert, sighting, rule, taken_back=taken_back)
    if over:
        return _end(alert, "resolved", over, now)
    grown = (Notice("grown", f"now {_listed(fresh)} as well", quiet=True),) if fresh else ()
    step = _louder(alert, rule, now)
    return Step(step.alert, grown + step.notices)


def remind(alert: Alert, rule: AlertRule, now: datetime) -> Step:
    """Tell of an open alert again, where it is time."""
    due = alert.phase == "open" and alert.remind_at is not None and alert.remind_at <= now
    if not due or alert.is_snoozed(now):
        return Step(alert)
    line = "its snooze is over, and it is not" if alert.snoozed_until else "it is still so"
    is_wanted = alert.snoozed_until is not None or rule.remind is not None
    alert = replace(alert, snoozed_until=None, remind_at=_next(rule, now))
    return Step(alert, (Notice("reminded", line),) if is_wanted else ())


def snooze(alert: Alert, until: datetime) -> Step:
    """Tell nobody until a moment, and then again."""
    # A pager is told that somebody knows; people are not: it is one of them who said so.
    notice = Notice("snoozed", f"snoozed until {until.isoformat()}", quiet=True)
    return Step(replace(alert, snoozed_until=until, remind_at=until), (notice,))


def unsnooze(alert: Alert, rule: AlertRule, now: datetime) -> Step:
    """End a snooze."""
    alert = replace(alert, snoozed_until=None, remind_at=_next(rule, now))
    return Step(alert, (Notice("unsnoozed", "its snooze is ended", quiet=True),))


def close(alert: Alert, line: str, now: datetime) -> Step:
    """End an alert, and its snooze, by hand: it begins anew with k more unusual windows."""
    step = _end(alert, "closed", line, now)
    return Step(step.alert and replace(step.alert, snoozed_until=None), step.notices)


def end(alert: Alert, line: str, now: datetime) -> Step:
    """End an alert whose cause is known to be over."""
    return _end(alert, "resolved", line, now) if alert.phase == "open" else Step(None)


def _counts(alert: Alert, sighting: Sighting) -> bool:
    """Say whether a window is news: not one of the last alert's, nor one of the past never seen."""
    if alert.after is not None and sighting.start <= alert.after:
        return False
    return not sighting.again or any(one.start == sighting.start for one in alert.seen)


def _pending(alert: Alert, recurring: Sequence[str], rule: AlertRule, now: datetime) -> Step:
    if not recurring:
        watched = any(one.culprits for one in alert.seen[-rule.of :])
        return Step(alert if watched else None)
    quiet = alert.is_snoozed(now)
    opened = replace(
        alert,
        phase="open",
        severity=rule.severity,
        culprits=tuple(recurring),
        unusual=sum(bool(set(one.culprits) & set(recurring)) for one in alert.seen),
        remind_at=alert.snoozed_until if quiet else _next(rule, now),
        snoozed_until=alert.snoozed_until if quiet else None,
    )
    # The title, which is told with it, says what.
    line = f"unusual in {opened.unusual} of {len(alert.seen)} windows"
    return Step(opened, (Notice("opened", line, quiet),))


def _louder(alert: Alert, rule: AlertRule, now: datetime) -> Step:
    """Make an alert louder: as the rule says by now, or since it lasts."""
    level = SEVERITIES.index(alert.severity)
    lasting = rule.escalate is not None and alert.unusual >= rule.escalate and not alert.louder
    wanted = max(level, SEVERITIES.index(rule.severity))
    wanted = min(wanted + lasting, len(SEVERITIES) - 1)
    alert = replace(alert, louder=alert.louder or lasting)
    if wanted == level:
        return Step(alert)
    alert = replace(alert, severity=SEVERITIES[wanted])
    if not alert.is_snoozed(now):
        alert = replace(alert, remind_at=_next(rule, now))
    line = f"{alert.severity}, after {alert.unusual} unusual windows"
    return Step(alert, (Notice("escalated", line, alert.is_snoozed(now)),))


def _end(alert: Alert, what: Literal["resolved", "closed"], line: str, now: datetime) -> Step:
    ended = replace(alert, phase=what, remind_at=None)
    return Step(ended, (Notice(what, line, alert.is_snoozed(now)),))


def _over(alert: Alert, sighting: Sighting, rule: AlertRule, *, taken_back: bool) -> str:
    """Return why an open alert is over; empty while it is not.

    `taken_back`: what made it one is not unusual after all.
    """
    explained = bool(sighting.explained) and set(alert.culprits) <= set(sighting.explained)
    if explained or (taken_back and sighting.because):
        return f"explained by {sighting.because}"
    last = alert.seen[-rule.quiet :]
    quiet = len(last) == rule.quiet and not any(_is_unusual(alert, one.start) for one in last)
    return f"nothing unusual in {rule.quiet} windows" if quiet else ""


def _is_unusual(alert: Alert, start: datetime) -> bool:
    """Say whether a window has one of the culprits; of a cause that is not open: any."""
    names = set(alert.culprits)
    return any(
        one.start == start and bool(names & set(one.culprits) if names else one.culprits)
        for one in alert.seen
    )


def _with(seen: tuple[Seen, ...], sighting: Sighting, rule: AlertRule) -> tuple[Seen, ...]:
    """Return the memory with a window put in, over what it said before, or taken out."""
    kept = [one for one in seen if one.start != sighting.start]
    if sighting.judged:
        kept.append(Seen(sighting.start, sighting.culprits[:MAX_CULPRITS]))
    kept.sort(key=lambda one: one.start)
    return tuple(kept[-max(rule.of, rule.quiet) :])


def _recurring(seen: tuple[Seen, ...], rule: AlertRule) -> list[str]:
    """Return what was unusual in k of the last n windows, the strongest first."""
    counts: dict[str, int] = {}
    for one in seen[-rule.of :]:
        for name in one.culprits:
            counts[name] = counts.get(name, 0) + 1
    return list(_ranked({name for name, count in counts.items() if count >= rule.windows}, seen))


def _ranked(names: Iterable[str], seen: tuple[Seen, ...]) -> tuple[str, ...]:
    """Put names in the order of the newest window that has them."""
    wanted, found = set(names), dict[str, None]()
    for one in reversed(seen):
        found.update(dict.fromkeys(name for name in one.culprits if name in wanted))
    rest = sorted(wanted - set(found))
    return (*found, *rest)[:MAX_CULPRITS]


def _next(rule: AlertRule, now: datetime) -> datetime | None:
    return None if rule.remind is None else now + rule.remind


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
