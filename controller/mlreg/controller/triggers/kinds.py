"""The kinds of trigger there are: ours, and those that others add by `mlreg.triggers`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.controller.triggers.every import EveryTrigger
from mlreg.controller.triggers.invariant import InvariantTrigger
from mlreg.controller.triggers.labelled_rows import LabelledRowsTrigger
from mlreg.controller.triggers.performance import PerformanceTrigger
from mlreg.controller.triggers.predictions import PredictionsTrigger
from mlreg.controller.triggers.schedule import ScheduleTrigger
from mlreg.controller.triggers.upstream import UpstreamTrigger
from mlreg.controller.triggers.webhook import WebhookTrigger

if TYPE_CHECKING:
    from mlreg.controller.domain.triggers import Trigger

GROUP = "mlreg.triggers"
OURS: tuple[type[Trigger], ...] = (
    ScheduleTrigger,
    EveryTrigger,
    LabelledRowsTrigger,
    PredictionsTrigger,
    DriftTrigger,
    PerformanceTrigger,
    InvariantTrigger,
    UpstreamTrigger,
    WebhookTrigger,
)


@cache
def trigger_kinds() -> dict[str, type[Trigger]]:
    """Return the triggers by kind; ours cannot be replaced by another's."""
    others: dict[str, type[Trigger]] = {
        entry.name: entry.load() for entry in entry_points(group=GROUP)
    }
    return {**others, **{trigger.kind: trigger for trigger in OURS}}
