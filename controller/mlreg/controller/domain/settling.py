"""What comes of a firing, and what is remembered of it: the live controller, a rehearsal, a replay.

What always holds: after a run the excursions behind it are spent and nothing waits; of a firing
that is held back waits what would be lost (`waiting.py`), and what lasts is judged again, or still
counts for the others. Due times wait for the end of quiet hours alone: they come again, at the
latest with the rows of this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlreg.controller.domain.firing import Outcome, Ruling, find_end, judge_firing
from mlreg.controller.domain.triggers import BY_HAND, names_of
from mlreg.controller.domain.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mlreg.controller.domain.firing import Circumstances
    from mlreg.controller.domain.memory import PolicyMemory
    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Held, Trigger


class Concluded(NamedTuple):
    """What came of a firing.

    Attributes:
        is_news: whether it is worth a record; what waits already, or only waits on, is not.
    """

    outcome: Outcome
    memory: PolicyMemory
    is_news: bool


def conclude_firing(
    policy: Policy,
    memory: PolicyMemory,
    fires: Sequence[Held],
    circumstances: Circumstances,
    at: datetime,
) -> Concluded:
    """Return what comes of a firing at a moment (business time)."""
    ruling = _rule(policy, circumstances, at)
    is_news = not _waits_already(memory, fires, ruling.outcome)
    return Concluded(ruling.outcome, settle(policy, memory, fires, ruling, at), is_news)


def settle(
    policy: Policy, memory: PolicyMemory, fires: Sequence[Held], ruling: Ruling, at: datetime
) -> PolicyMemory:
    """Remember what came of a firing at a moment."""
    if ruling.outcome == "run":
        return _spent(memory, fires)
    quiet = ruling.outcome == "quiet"
    lost = _would_be_lost(policy, in_quiet_hours=quiet)
    waiting = memory.waiting
    if waiting is None:
        waiting = Waiting(ruling.outcome, at).joined(one for one in fires if one.name in lost)
    waiting = waiting.only(lost).held_back(ruling, (one.name for one in fires))
    held = memory.held if policy.combination.at_least > 1 else {}
    if not waiting.first and not quiet:
        momentary = {name for name, one in _named(policy) if one.momentary}
        lasting = {name: since for name, since in held.items() if name not in momentary}
        return memory._replace(held=lasting, waiting=None)
    return memory._replace(held=held, waiting=waiting)


def _would_be_lost(policy: Policy, *, in_quiet_hours: bool) -> set[str]:
    """Return the triggers whose moment does not come again: what happened to them has to wait.

    Due times come again, and are let go; but quiet hours could swallow each of them.
    """
    momentary = {name: one.recurs for name, one in _named(policy) if one.momentary}
    return {name for name, recurs in momentary.items() if in_quiet_hours or not recurs} | {BY_HAND}


def _named(policy: Policy) -> Iterator[tuple[str, Trigger]]:
    return zip(names_of(policy.triggers), policy.triggers, strict=True)


def _rule(policy: Policy, circumstances: Circumstances, at: datetime) -> Ruling:
    cooldown, budget = policy.cooldown, policy.budget
    outcome = judge_firing(at, circumstances, cooldown=cooldown, budget=budget)
    if outcome == "quiet":
        return Ruling(outcome, policy.quiet_hours.end_of(at) if policy.quiet_hours else None)
    until = find_end(outcome, at, circumstances, cooldown=cooldown, budget=budget)
    return Ruling(outcome, until)


def _waits_already(memory: PolicyMemory, fires: Sequence[Held], outcome: Outcome) -> bool:
    """Say whether all of this waits for the same already: then it is no news."""
    waiting = memory.waiting
    if waiting is None or waiting.why != outcome:
        return False
    return {one.name for one in fires} <= set(waiting.told)


def _spent(memory: PolicyMemory, fires: Sequence[Held]) -> PolicyMemory:
    spent = dict(memory.spent)
    for one in fires:
        if one.finding is not None and one.finding.subjects:
            already = spent.get(one.name, ())
            spent[one.name] = tuple(sorted({*already, *one.finding.subjects}))
    waiting = memory.waiting
    left = None if waiting is None else waiting.only(waiting.first.keys() - {o.name for o in fires})
    return memory._replace(held={}, waiting=left if left and left.first else None, spent=spent)
