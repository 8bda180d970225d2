"""A chore: what the house does for itself again and again, whoever asks or not.

What always holds: chores live in real time, also where business time is virtual, and business time
does not wait for them; of one chore at most one run is queued or running; each may be repeated, and
does its work in short transactions of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mlreg.controller.services.lineage_sinks import LineageSettings
from mlreg.registry.artifacts.store import ArtifactStore
from mlreg.registry.domain.notice_targets import NoticeTargets
from mlreg.registry.domain.upkeep import UpkeepSettings
from mlreg.registry.services.posting import PostSettings
from mlreg.registry.store.database import Database, ReadSession
from mlreg.registry.witnesses.settings import WitnessSettings

Need = Literal["nothing", "something", "urgent"]


@dataclass(frozen=True, slots=True)
class ChoreSettings:
    """What the operator told the chores of this process: one field per chore that needs any."""

    witnesses: WitnessSettings = field(default_factory=WitnessSettings)
    posts: PostSettings = field(default_factory=PostSettings)
    targets: NoticeTargets = field(default_factory=NoticeTargets)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    lineage: LineageSettings = field(default_factory=LineageSettings)
    job_days: int = 30
    trigger_record_days: int = 90


@dataclass(frozen=True, slots=True)
class ChoreRoom:
    """What one run of a chore works with.

    Attributes:
        database: where state is; the chore opens its own short transactions.
        store: where bytes are.
        now: real time, by the database's clock.
        settings: the operator's.
        halt: set when the worker stops; look at it in long loops, and return what was done.
    """

    database: Database
    store: ArtifactStore
    now: datetime
    settings: ChoreSettings = field(default_factory=ChoreSettings)
    halt: threading.Event = field(default_factory=threading.Event)


def _something(session: ReadSession) -> Need:
    del session
    return "something"


@dataclass(frozen=True, slots=True)
class Chore:
    """One chore.

    Attributes:
        name: names it in the table of chores and on its jobs.
        every: how long after its last start it is due again.
        run: does it, and says in a line what was done.
        need: what there is to do, asked at every tick, so a cheap query: `nothing` passes a turn
            by, `urgent` does not wait for it.
    """

    name: str
    every: timedelta
    run: Callable[[ChoreRoom], str]
    need: Callable[[ReadSession], Need] = field(default=_something)


Chores = Mapping[str, Chore]


def chores_by_name(*chores: Chore) -> Chores:
    """Return chores by their names."""
    return {chore.name: chore for chore in chores}
