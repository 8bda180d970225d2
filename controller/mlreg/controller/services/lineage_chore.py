"""The chore that exports lineage, where the operator named a sink."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.services.chore import Chore, ChoreRoom
from mlreg.controller.store import lineage_export as rows

if TYPE_CHECKING:
    from mlreg.controller.services.chore import Need
    from mlreg.registry.store.database import ReadSession

NAME = "lineage-export"
EVERY = timedelta(seconds=60)
OFF = "off: neither MLREG_OPENLINEAGE_URL nor MLREG_OPENLINEAGE_FILE is set"


def _run(room: ChoreRoom) -> str:
    settings = room.settings.lineage
    sink = settings.sink()
    if sink is None:
        return OFF
    # A third of a second and 20 MB that few installations need.
    from mlreg.controller.services.lineage_export import export_lineage  # noqa: PLC0415

    sent = export_lineage(
        room.database, sink, room.now, namespace=settings.namespace, halt=room.halt
    )
    return f"{sent} events sent"


def _need(session: ReadSession) -> Need:
    return "something" if rows.is_any_waiting(session, NAME) else "nothing"


EXPORT = Chore(NAME, EVERY, _run, _need)
