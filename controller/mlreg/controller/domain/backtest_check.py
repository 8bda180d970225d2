"""What a history of rows can tell a trigger, and what it cannot.

What always holds: a trigger that would look at what is not replayed is refused, with what it is; it
is never replayed as one that holds never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.triggers import View
from mlreg.registry.domain.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.controller.domain.policy import Policy
    from mlreg.controller.domain.triggers import Need, Trigger


class NotReplayableError(InvalidError):
    """A trigger looks at what no history of rows can tell."""

    code = "not_replayable"
    hint = "Leave the trigger out of the grid: it rests on more than rows and their labels."

    def __init__(self, *, trigger: str, wants: str) -> None:
        super().__init__(f"trigger {trigger!r} cannot be replayed: it reads {wants}")


def check_replayable(policy: Policy, monitors: Collection[str], start: datetime) -> None:
    """Check that every trigger can be shown what it wants.

    Args:
        policy: its triggers are looked at.
        monitors: those that are read of a history.
        start: any moment.

    Raises:
        NotReplayableError: one cannot.
    """
    for trigger in policy.triggers:
        wants = _missing(trigger, monitors, start)
        if wants is not None:
            raise NotReplayableError(trigger=trigger.kind, wants=wants)


def need_of(trigger: Trigger, at: datetime) -> Need:
    """Return what a trigger has to be shown, whoever serves."""
    return trigger.need(View(now=at, previous=at, promoted_at=at))


def _missing(trigger: Trigger, known: Collection[str], start: datetime) -> str | None:
    """Return what a trigger reads that is not there, None where all of it is."""
    need = need_of(trigger, start)
    if need.events is not None:
        return f"events ({need.events})"
    for monitor in need.monitors:
        if monitor not in known:
            return f"the monitor {monitor!r}"
        if _awaits_verdict(trigger, monitor):
            return f"whether {monitor!r} is unusual, which takes what was read of it before"
    for family in need.families:
        if not any(monitor.startswith(family) for monitor in known):
            return f"monitors of {family!r}"
    return None


def _awaits_verdict(trigger: Trigger, monitor: str) -> bool:
    """Whether a trigger asks if the labels, or the loss, are unusual."""
    of_labels = monitor.startswith(("label_", "concept_loss"))
    return of_labels and bool(getattr(trigger, "unusual", False))
