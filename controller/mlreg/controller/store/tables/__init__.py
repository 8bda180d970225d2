"""The controller's tables.

What always holds:

- a batch is accepted once: (model, kind, batch id) is unique, and its bytes wait in `waiting_batch`
  until a drain has turned them into a segment; the row of `batch` stays;
- a firing is unique by (policy, fire_at), so that two controllers that tick do one thing;
- the effect of a job is committed only together with a check of its lease token;
- lease times are the database's own clock; every other time is business time.
"""

from __future__ import annotations

from mlreg.controller.store.tables.alerts import Alert, AlertEntry
from mlreg.controller.store.tables.costs import Cost, OverallBudget
from mlreg.controller.store.tables.feedback import (
    Batch,
    Erasure,
    LostSegment,
    Retention,
    Segment,
    Snapshot,
    SnapshotCount,
    WaitingBatch,
    WaitingSlot,
)
from mlreg.controller.store.tables.incidents import Incident, IncidentEntry
from mlreg.controller.store.tables.invariants import InvariantSet
from mlreg.controller.store.tables.jobs import Chore, Job, Leader, Member
from mlreg.controller.store.tables.policies import Firing, Policy, PolicyState
from mlreg.controller.store.tables.profiles import (
    ContractBins,
    LateHour,
    Outage,
    ReferenceProfile,
    RolledProfile,
    WindowProfile,
)
from mlreg.controller.store.tables.readings import (
    BusinessValue,
    LabelProfile,
    LossModel,
    Reading,
)
from mlreg.controller.store.tables.runs import Run, RunLog, VersionMetrics
from mlreg.controller.store.tables.sources import SourceFile
from mlreg.controller.store.tables.triggers import PolicyUpstream, TriggerRecord
from mlreg.registry.store.tables import METADATA

__all__ = [
    "METADATA",
    "Alert",
    "AlertEntry",
    "Batch",
    "BusinessValue",
    "Chore",
    "ContractBins",
    "Cost",
    "Erasure",
    "Firing",
    "Incident",
    "IncidentEntry",
    "InvariantSet",
    "Job",
    "LabelProfile",
    "LateHour",
    "Leader",
    "LossModel",
    "LostSegment",
    "Member",
    "Outage",
    "OverallBudget",
    "Policy",
    "PolicyState",
    "PolicyUpstream",
    "Reading",
    "ReferenceProfile",
    "Retention",
    "RolledProfile",
    "Run",
    "RunLog",
    "Segment",
    "Snapshot",
    "SnapshotCount",
    "SourceFile",
    "TriggerRecord",
    "VersionMetrics",
    "WaitingBatch",
    "WaitingSlot",
    "WindowProfile",
]
