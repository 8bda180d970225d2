"""What a person reads of a policy: what changed, what a preview says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlreg.cli.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlreg.client.wire.policies import (
        ChangeForm,
        CollectingAnswer,
        DueForm,
        FiringAnswer,
        PolicyAnswer,
        PreviewAnswer,
        RehearsalForm,
        UnreadForm,
    )

SHOWN_FIRINGS = 10
LONGEST = 60
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def change_lines(changes: Sequence[ChangeForm]) -> Iterator[str]:
    """Yield a line per key: `~ cooldown: 6h -> 1d`."""
    for one in changes:
        sides = [_value(side) for side, there in _sides(one) if there]
        yield f"  {_SIGNS[one.kind]} {one.key}: {' -> '.join(sides)}"


def preview_lines(preview: PreviewAnswer) -> Iterator[str]:
    """Yield what applying a policy would change and do."""
    where = f"{preview.model} in {preview.environment}"
    if preview.in_force is None:
        yield f"{where} has no policy; this would be policy {preview.number}"
    elif not preview.changes:
        yield f"no key would change of policy {preview.in_force} of {where}"
    else:
        count = len(preview.changes)
        yield f"{count} {_keys(count)} would change of policy {preview.in_force} of {where}"
        yield from change_lines(preview.changes)
    yield from _due_lines(preview.due)
    yield f"the next run would take the lane {preview.next_lane}"
    yield from _rehearsal_lines(preview.rehearsal, triggers=len(preview.due))


def next_words(answer: PolicyAnswer) -> str:
    """Return what comes next under a policy."""
    if not answer.enabled or answer.next_due is None:
        return "nothing is due"
    words = f"next look {answer.next_due:%Y-%m-%d %H:%M} UTC, next lane {answer.next_lane}"
    return words if answer.collecting is None else f"{words}\n{collecting_words(answer.collecting)}"


def collecting_words(collecting: CollectingAnswer) -> str:
    """Return what a run waits for after a change, or what it was trained on since."""
    since = f"since the change of {collecting.since:%Y-%m-%d %H:%M} UTC"
    if collecting.stage == "collecting":
        return f"collecting {collecting.rows:,} of {collecting.needed:,} labelled rows {since}"
    if collecting.check_at is not None:
        return f"trained on rows {since}, checked again at {collecting.check_at:%Y-%m-%d %H:%M} UTC"
    return f"trains on rows {since}"


def firings_table(found: Sequence[FiringAnswer]) -> Table:
    """Return firings as a table."""
    rows = [
        (
            one.id,
            f"{one.fire_at:%Y-%m-%d %H:%M}",
            ", ".join(one.triggers),
            one.outcome,
            one.run,
            "; ".join(str(reading.get("because", "")) for reading in one.readings),
        )
        for one in found
    ]
    headers = ("firing", "fired", "triggers", "outcome", "run", "because")
    return Table(headers, rows, "no trigger has fired", spare=("firing",))


def _sides(change: ChangeForm) -> tuple[tuple[object, bool], tuple[object, bool]]:
    return (change.old, change.kind != "added"), (change.new, change.kind != "removed")


def _keys(count: int) -> str:
    return "key" if count == 1 else "keys"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _unread(missing: UnreadForm) -> str:
    if missing.since is None:
        return "nothing was read of it in these days, so nothing can be said"
    return f"read since {missing.since:%Y-%m-%d %H:%M} UTC only; before, nothing can be said"


def _due_lines(due: Sequence[DueForm]) -> Iterator[str]:
    yield "would be judged next"
    for one in due:
        moments = ", ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in one.at)
        how = "" if one.own else ", as windows close"
        yield f"  {one.trigger}: {f'{moments} UTC{how}' if moments else 'when it is told'}"


def _rehearsal_lines(found: RehearsalForm, *, triggers: int) -> Iterator[str]:
    days = round((found.until - found.since).total_seconds() / 86_400)
    held = "".join(f", {count} held back by {why}" for why, count in found.held_back.items())
    unknown = len(found.left_out) + sum(one.since is None for one in found.unread)
    runs = "1 run" if found.runs == 1 else f"{found.runs} runs"
    came = "what would have fired is not known" if unknown == triggers else f"{runs}{held}"
    yield f"in the last {days} days: {found.moments} looks, {came}"
    if found.until < found.asked_until:
        yield f"  (too many looks to go on after {found.until:%Y-%m-%d %H:%M} UTC)"
    for one in found.firings[-SHOWN_FIRINGS:]:
        names = ", ".join(one.triggers)
        yield f"  {one.fire_at:%Y-%m-%d %H:%M} {names}: {one.outcome} ({one.because})"
    if len(found.firings) > SHOWN_FIRINGS:
        yield f"  and {len(found.firings) - SHOWN_FIRINGS} before them (--json has them)"
    for missing in found.unread:
        yield f"  {missing.trigger}: {_unread(missing)}"
    for name in found.left_out:
        yield f"  {name}: waits for events, which are not rehearsed"
    if found.train_seconds is None or found.run_seconds is None:
        yield "  what a run takes is not known: none has ended here"
    else:
        yield f"  {found.train_seconds:.0f} s of training, at {found.run_seconds:.1f} s a run"
