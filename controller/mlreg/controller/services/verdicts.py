"""Verdicts on readings that rest on rows or labels: against the readings of comparable windows.

What always holds: one query fetches the history of all of them; only final readings are judged and
only final ones of windows as long count as history. Readings of profiles are judged where they are
read (`monitoring.py`), against windows measured anew with the same yardstick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlreg.controller.domain.season import Judgement, Past, past_starts, verdicts
from mlreg.controller.domain.windows import Interval
from mlreg.controller.store.readings import past_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.readings import WindowReading
    from mlreg.registry.store.database import ReadSession

    Place = tuple[int, str]
    """A model's id and an environment."""


def judged(
    session: ReadSession,
    place: Place,
    found: Sequence[WindowReading],
    rules: Mapping[str, Judgement],
) -> list[WindowReading]:
    """Return readings of one window with verdicts, where a rule is given for their monitor.

    Args:
        session: a session.
        place: the model's id and the environment.
        found: readings of one and the same window.
        rules: by monitor.
    """
    asked = [one for one in found if one.monitor in rules and one.state == "final"]
    if not asked:
        return list(found)
    start, width = asked[0].start, asked[0].end - asked[0].start
    starts = past_starts(start, width)
    values = _past_values(session, place, asked, [Interval(one, one + width) for one in starts])
    now = np.array([np.nan if one.value is None else one.value for one in asked])
    said = verdicts(
        now, (start, width), Past(starts, values), [rules[one.monitor] for one in asked]
    )
    by_reading = {id(one): verdict for one, verdict in zip(asked, said, strict=True)}
    return [one._replace(verdict=by_reading.get(id(one), one.verdict)) for one in found]


def _past_values(
    session: ReadSession,
    place: Place,
    asked: Sequence[WindowReading],
    past: Sequence[Interval],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    monitors = sorted({one.monitor for one in asked})
    found = past_values(session, place, monitors, past)
    known = [found.get((one.monitor, one.subject), {}) for one in asked]
    return np.array([[one.get(window.start, np.nan) for one in known] for window in past])
