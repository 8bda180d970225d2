"""Judging the triggers of a policy at one moment: the live controller, a rehearsal, a backtest.

    for at in moments:                                   # `due_moment` says which comes next
        memory, findings, fires = judge_moment(policy, source, memory, at)
        if fires:
            outcome, memory, _ = conclude_firing(...)        # domain/settling.py

What always holds: nothing here reads a clock or a store: a `ViewSource` shows what was known at the
moment, so the same readings make the same firings, live or replayed. An event is consumed once. An
excursion that a run came of does not fire again before it went back or another version serves.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a named tuple's field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlreg.controller.domain.catching_up import enabled_spans
from mlreg.controller.domain.triggers import (
    BY_HAND,
    Finding,
    Held,
    Trigger,
    View,
    combine,
    names_of,
)
from mlreg.controller.domain.windows import window_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.memory import PolicyMemory
    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event, Need

CALLED = "webhook:"
"""The source of events that are calls; the rest of the name is the webhook's."""


class ViewSource(Protocol):
    """What was known at a moment: the store, or stored readings that are replayed."""

    def look(self, at: datetime) -> View:
        """Return who served and when the last run was, at that moment; nothing else is needed."""
        ...

    def readings(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """Return the needed readings of windows that end in (`need.after`, at], by monitor."""
        ...

    def events(self, source: str, seen: int | None, after: datetime) -> Sequence[Event]:
        """Return a source's events with a higher serial; seen None: those later than `after`."""
        ...


class Judged(NamedTuple):
    """What was found at a moment; `fires` is empty unless this is a firing."""

    memory: PolicyMemory
    findings: Mapping[str, Finding]
    fires: tuple[Held, ...]


def due_moment(policy: Policy, memory: PolicyMemory, now: datetime) -> datetime | None:
    """Return the moment up to now that is to be judged next; None: all are.

    That is the newest: what passed before it unjudged is counted, not repeated. But no due time of
    a trigger that takes them `in_order` is passed over.
    """
    data = policy.data
    newest = [window_of(now - lag, data.window).start + lag for lag in (_NOTHING, data.label_delay)]
    if memory.waiting is not None and memory.waiting.until is not None:
        newest.append(memory.waiting.until)
    in_order: list[datetime] = []
    for trigger in policy.triggers:
        due = _due_by(trigger, memory, now)
        if due is not None:
            (in_order if trigger.in_order else newest).append(due)
    moments = [moment for moment in newest if memory.judged_at < moment <= now]
    at_once = memory.judged_at + _LEAST  # where business time stands still, a call is not lost
    moments += [max(moment, at_once) for moment in memory.asked]
    if moments:
        in_order.append(max(moments))
    return min(in_order, default=None)


def next_moment(policy: Policy, memory: PolicyMemory) -> datetime:
    """Return when there is something to do next; in the past while something waits."""
    data, waiting = policy.data, memory.waiting
    moments: list[datetime] = [
        memory.closed_until + data.window,
        memory.matured_until + data.window + data.label_delay,
        *memory.asked,
        *((waiting.until,) if waiting and waiting.until else ()),
    ]
    for trigger in policy.triggers:
        due = _next_due(trigger, memory)
        if due is not None:
            moments.append(due)
    return min(moments)


def is_all_read(policy: Policy, memory: PolicyMemory, due: datetime) -> bool:
    """Say whether every window is read that closed, or matured, before a moment that is due."""
    data = policy.data
    closed = window_of(due, data.window).start <= memory.closed_until
    matured = window_of(due - data.label_delay, data.window).start <= memory.matured_until
    return closed and matured


def notice(memory: PolicyMemory, due: datetime, now: datetime) -> PolicyMemory:
    """Remember when somebody first looked after a moment that is due."""
    known = memory.noticed is not None and memory.noticed[0] == due
    return memory if known else memory._replace(noticed=(due, now))


def judge_moment(
    policy: Policy, view_source: ViewSource, memory: PolicyMemory, at: datetime
) -> Judged:
    """Judge every trigger of a policy at a moment (business time).

    Returns:
        the new memory (events consumed, held triggers kept, moments moved on), what was found by
        trigger, and the triggers that make a firing, none if there is none. What comes of a firing
        is judged elsewhere (`settling.conclude_firing`), and remembered there.
    """
    view = view_source.look(at)._replace(
        now=at,
        previous=memory.judged_at,
        late=_lateness(memory, at),
        disabled=memory.disabled,
        width=policy.data.window,
    )
    memory = _under(memory, view.champion)
    by_name = dict(zip(names_of(policy.triggers), policy.triggers, strict=True))
    findings: dict[str, Finding] = {}
    for name, trigger in by_name.items():
        shown, memory = _show(view_source, view, memory, name, trigger)
        findings[name] = trigger.judge(shown)
    memory = _back(memory, findings)
    newly = [Held(name, at, one) for name, one in findings.items() if one.holds]
    newly += _asked_by_hand(memory, at)
    memory = _joined(memory, by_name, newly)
    held = _held(policy, by_name, memory, newly, at)
    memory = memory.judged(at)._replace(
        noticed=None,
        woken=None,
        held={one.name: one.since for one in held if one.name != BY_HAND},
        calls=tuple(call for call in memory.calls if call.event.at > at),
    )
    by_hand = any(one.name == BY_HAND for one in held)
    if not by_hand and not combine(held, policy.combination):
        return Judged(_alone(memory, at), findings, ())
    return Judged(memory, findings, tuple(held))


_NOTHING = timedelta()
_LEAST = timedelta(microseconds=1)


def _due_by(trigger: Trigger, memory: PolicyMemory, now: datetime) -> datetime | None:
    """Return the due time to be judged next of those that came while the policy was enabled."""
    span = (memory.judged_at, now)
    spans = enabled_spans(span, memory.disabled, in_order=trigger.in_order)
    return next((due for one in spans if (due := trigger.due_by(*one)) is not None), None)


def _next_due(trigger: Trigger, memory: PolicyMemory) -> datetime | None:
    """Return the first due time after the judged moment that is not passed over."""
    due = trigger.next_due(memory.judged_at)
    for start, end in memory.disabled:
        if due is not None and due <= end and (due > start or not trigger.in_order):
            due = trigger.next_due(end)
    return due


def _lateness(memory: PolicyMemory, at: datetime) -> timedelta:
    if memory.noticed is None or memory.noticed[0] != at:
        return _NOTHING
    return memory.noticed[1] - at


def _under(memory: PolicyMemory, champion: int | None) -> PolicyMemory:
    """Forget the excursions of another champion."""
    if memory.champion == champion:
        return memory
    return memory._replace(champion=champion, spent={})


def _show(
    source: ViewSource, view: View, memory: PolicyMemory, name: str, trigger: Trigger
) -> tuple[View, PolicyMemory]:
    """Return a trigger's own view, and the memory of the events in it."""
    if name in memory.spent:
        view = view._replace(spent=frozenset(memory.spent[name]))
    need = trigger.need(view)
    if need.monitors or need.families:
        view = view._replace(readings=source.readings(need, view.now))
    if need.events is None:
        return view, memory
    if need.events.startswith(CALLED):
        called = need.events.removeprefix(CALLED)
        found = [call.event for call in memory.calls if call.trigger == called]
        return view._replace(events=_until(found, view.now)), memory
    found = list(source.events(need.events, memory.seen.get(need.events), view.previous))
    events = _until(found, view.now)
    if events:
        seen = {**memory.seen, need.events: max(event.serial for event in events)}
        memory = memory._replace(seen=seen)
    return view._replace(events=events), memory


def _until(events: Sequence[Event], now: datetime) -> tuple[Event, ...]:
    ordered = sorted(events, key=lambda event: event.serial)
    return tuple(event for event in ordered if event.at <= now)


def _back(memory: PolicyMemory, findings: Mapping[str, Finding]) -> PolicyMemory:
    """Let excursions that are over fire again when they come again."""
    if not memory.spent:
        return memory
    left = {
        name: tuple(one for one in subjects if one not in findings[name].back)
        for name, subjects in memory.spent.items()
        if name in findings
    }
    return memory._replace(spent={name: subjects for name, subjects in left.items() if subjects})


def _asked_by_hand(memory: PolicyMemory, at: datetime) -> list[Held]:
    asked = [call.event for call in memory.calls if call.trigger == BY_HAND and call.event.at <= at]
    if not asked:
        return []
    because = "; ".join(event.what for event in asked)
    evidence = tuple(dict(event.evidence) for event in asked)
    return [Held(BY_HAND, asked[0].at, Finding(holds=True, because=because, evidence=evidence))]


def _joined(
    memory: PolicyMemory, by_name: Mapping[str, Trigger], newly: Sequence[Held]
) -> PolicyMemory:
    """Let what happened at this moment wait with what waits already."""
    if memory.waiting is None:
        return memory
    happened = [one for one in newly if one.name == BY_HAND or by_name[one.name].momentary]
    return memory._replace(waiting=memory.waiting.joined(happened))


def _held(
    policy: Policy,
    by_name: Mapping[str, Trigger],
    memory: PolicyMemory,
    newly: Sequence[Held],
    at: datetime,
) -> list[Held]:
    """Return the triggers that hold at this moment, and those that still count from before."""
    waiting = [] if memory.waiting is None else memory.waiting.held()
    found = {one.name: one for one in (*newly, *waiting)}
    within = policy.combination.within
    still = {
        name: Held(name, since)
        for name, since in memory.held.items()
        if name in by_name and at - since < (within or by_name[name].patience)
    }
    return [*found.values(), *(one for name, one in still.items() if name not in found)]


def _alone(memory: PolicyMemory, at: datetime) -> PolicyMemory:
    """Return the memory of a moment that is no firing: what waited waits for the others again."""
    waiting = memory.waiting
    if waiting is None or (waiting.until is not None and at < waiting.until):
        return memory
    return memory._replace(waiting=None, held={**memory.held, **dict.fromkeys(waiting.first, at)})
