"""Which rows a run or an evaluation takes, and freezing them.

What always holds: outages are left out; no row that a model was trained on is left to judge it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.snapshots import SnapshotBody
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services import snapshots
from mlreg.controller.services.ancestry import trained_until
from mlreg.controller.services.sourcing import SourceParts, keep_source
from mlreg.controller.store import feedback
from mlreg.controller.store.readings import outage_intervals
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mlreg.controller.domain.data_rule import DataRule
    from mlreg.controller.domain.sources import FrozenSource
    from mlreg.controller.services.snapshots import Snapshot
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession
    from mlreg.registry.store.tables import Model


def freeze_window(  # noqa: PLR0913 - each of them is part of what is frozen
    session: WriteSession,
    model: Model,
    window: Interval,
    labels_until: datetime,
    *,
    left_out: Sequence[Interval] = (),
    source: FrozenSource | None = None,
    parts: SourceParts,
    actor: Actor,
    now: datetime,
) -> Snapshot:
    """Freeze the rows of a window outside outages: logged ones, with the labels known until then.

    `left_out` are times inside the window that a selection does not take.
    Those of a source were frozen before (`sourcing.freeze_source`), and are written down here.
    """
    down = [*outage_intervals(session, catalog.id_of(model), window), *left_out]
    if source is not None:
        body = SnapshotBody.of_source(model.name, source, window, down)
        return keep_source(session, parts, model, body, actor=actor, now=now)
    return snapshots.freeze(
        session,
        model,
        start=window.start,
        end=window.end,
        labels_until=labels_until,
        exclude=down,
        actor=actor,
        now=now,
    )


def first_row(session: ReadSession, model: Model, data: DataRule) -> datetime | None:
    """Return the time of the oldest prediction in the log, None when nothing was logged.

    The rows of a source may be older than the log; how old only reading them would tell.
    """
    if data.source_name is not None:
        return None
    return feedback.first_time(session, catalog.id_of(model), "predictions")


def judged_window(
    session: ReadSession, model: Model, numbers: Iterable[int], window: Interval
) -> Interval | None:
    """Return the part of a window that none of these versions was trained on, None if none is.

    What a version was continued from is looked at too: its trees are in it.
    """
    versions = [catalog.get_version(session, model, number) for number in numbers]
    ends = [trained_until(session, model, version) for version in versions]
    start = max([window.start, *(end for end in ends if end is not None)])
    return Interval(start, window.end) if start < window.end else None
