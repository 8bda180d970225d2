"""The export of lineage: every arrow is told to a sink at least once, as OpenLineage events.

What always holds: an arrow is marked as told only after the sink took the events; what a sink does
not take is told again at the next turn, under the same run id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.services.lineage_events import events_of
from mlreg.controller.services.lineage_sinks import NAMESPACE
from mlreg.controller.store import lineage_export as rows

if TYPE_CHECKING:
    import threading
    from datetime import datetime

    from mlreg.controller.services.lineage_sinks import Sink
    from mlreg.registry.store.database import Database

EDGES_A_ROUND = 500
ROUNDS = 200


def export_lineage(
    database: Database,
    sink: Sink,
    now: datetime,
    *,
    namespace: str = NAMESPACE,
    halt: threading.Event | None = None,
) -> int:
    """Tell a sink every arrow that it was not told yet; return how many events were sent.

    Args:
        database: a short transaction is opened for each round.
        sink: who is told.
        now: real time, written on the arrows.
        namespace: of jobs and datasets.
        halt: once it is set, no further round is begun.

    Raises:
        SinkError: the sink did not take a round; the earlier ones are done.
    """
    sent = 0
    for _ in range(ROUNDS):
        with database.reading() as session:
            edges = rows.list_waiting(session, EDGES_A_ROUND)
            events = events_of(session, edges, namespace)
        if not edges or (halt is not None and halt.is_set()):
            break
        if events:
            sink.send(events)
        with database.writing() as session:
            rows.mark_exported(session, edges, now)
        sent += len(events)
    return sent
