"""What the store knows at a moment that is judged: who serves, the last run, stored readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.triggers import Need, View
from mlreg.controller.services import following
from mlreg.controller.services.policies import PolicyInForce
from mlreg.controller.store import policies as rows
from mlreg.controller.store import readings
from mlreg.controller.store.serving import Serving
from mlreg.controller.triggers.upstream import FOLLOWED
from mlreg.registry.store.database import ReadSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.controller.domain.evaluating import ViewSource
    from mlreg.controller.domain.readings import WindowReading
    from mlreg.controller.domain.triggers import Event

    Shown = dict[str, tuple[WindowReading, ...]]

EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredViews:
    """The views of one policy at one moment; what two triggers need alike is read once."""

    session: ReadSession
    in_force: PolicyInForce
    serving: Serving | None
    _read: dict[Need, Shown] = field(default_factory=dict)

    def look(self, at: datetime) -> View:
        """Return who serves and when the last run was asked for."""
        in_force, serving = self.in_force, self.serving
        last_run = rows.last_run_at(self.session, in_force.model_id, in_force.environment)
        delay = in_force.policy.data.label_delay
        return View(
            now=at,
            previous=at,
            watermark=None if last_run is None else last_run - delay,
            last_run_at=last_run,
            promoted_at=None if serving is None else serving.promoted_at,
            champion=None if serving is None else serving.champion,
        )

    def readings(self, need: Need, at: datetime) -> Mapping[str, tuple[WindowReading, ...]]:
        """Return the needed readings of windows that end in (need.after, at], by monitor."""
        if need not in self._read:
            found: dict[str, list[WindowReading]] = {monitor: [] for monitor in need.monitors}
            place = (self.in_force.model_id, self.in_force.environment)
            for one in readings.needed_readings(self.session, place, need, at):
                found.setdefault(one.monitor, []).append(one)
            self._read[need] = {monitor: tuple(all_) for monitor, all_ in found.items()}
        return self._read[need]

    def events(self, source: str, seen: int | None, after: datetime) -> Sequence[Event]:
        """Return a source's events with a higher serial; seen None: those later than `after`."""
        if not source.startswith(FOLLOWED):
            return ()
        if seen is None:
            return following.events_of(self.session, source, 0, after)
        return following.events_of(self.session, source, seen, EVER)


if TYPE_CHECKING:
    _PROOF: type[ViewSource] = StoredViews
