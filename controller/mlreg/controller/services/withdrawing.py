"""What becomes of readings whose window is read again: remembered, and withdrawn if nobody says so.

What always holds: nothing that was said is lost (`evidence.history` has it); a reading that the new
look does not make any more has no value and does not count, so an outage that is found late leaves
no drift behind it for triggers to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain.causes import EXPLAINED, kind_of
from mlreg.controller.services.label_readings import remembering
from mlreg.controller.store.readings import list_readings, window_reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.controller.domain.readings import ReadingState, WindowReading
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.database import ReadSession

OF_JOBS = ("domain_auc", "estimated_")
"""Readings of jobs: a look at profiles does not make them, and only an outage withdraws them."""


def replacing(
    session: ReadSession,
    place: Place,
    window: Interval,
    found: Sequence[WindowReading],
    state: ReadingState,
) -> list[WindowReading]:
    """Return what is to be written over the readings of a window that was read before.

    Args:
        session: a session.
        place: the model's id and the environment.
        window: which is read again.
        found: its readings as they are now.
        state: of the whole window.
    """
    said = {(one.monitor, one.subject) for one in found}
    before = list_readings(
        session, model_id=place[0], environment=place[1], after=window.start, until=window.end
    )
    withdrawn = [
        window_reading(row)._replace(
            value=None,
            low=None,
            high=None,
            verdict=None,
            state="empty" if state == "final" else state,
        )
        for row in before
        if (row.start, row.end) == (window.start, window.end)
        and row.value is not None
        and (row.monitor, row.subject) not in said
        and _is_withdrawn(row.monitor, state)
    ]
    return remembering(session, place, window, [*found, *withdrawn])


def _is_withdrawn(monitor: str, state: ReadingState) -> bool:
    return kind_of(monitor) in EXPLAINED and not (state == "final" and monitor.startswith(OF_JOBS))
