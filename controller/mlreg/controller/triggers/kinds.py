"""The kinds of trigger there are: ours, and those that others add by `mlreg.triggers`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from mlreg.controller.domain.plugins import load_kinds
from mlreg.controller.domain.triggers import Trigger
from mlreg.controller.triggers.drift import DriftTrigger
from mlreg.controller.triggers.every import EveryTrigger
from mlreg.controller.triggers.invariant import InvariantTrigger
from mlreg.controller.triggers.labelled_rows import LabelledRowsTrigger
from mlreg.controller.triggers.performance import PerformanceTrigger
from mlreg.controller.triggers.predictions import PredictionsTrigger
from mlreg.controller.triggers.schedule import ScheduleTrigger
from mlreg.controller.triggers.upstream import UpstreamTrigger
from mlreg.controller.triggers.webhook import WebhookTrigger

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
    others = load_kinds(entry_points(group=GROUP), Trigger)  # type: ignore[type-abstract] # a base
    return {**others, **{trigger.kind: trigger for trigger in OURS}}
