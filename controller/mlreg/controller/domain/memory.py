"""What the controller remembers of a policy from one tick to the next.

What always holds: the two borders only move forward: windows before `closed_until` are read, those
before `matured_until` are read with their labels; `judged_at` is the newest moment at which the
triggers were judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlreg.controller.domain.outage import Suspicion


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """Borders, the triggers that came to hold and wait for others, and a suspected outage."""

    closed_until: datetime
    matured_until: datetime
    judged_at: datetime
    held: Mapping[str, datetime] = field(default_factory=dict)
    suspicion: Suspicion | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "closed_until": self.closed_until.isoformat(),
            "matured_until": self.matured_until.isoformat(),
            "judged_at": self.judged_at.isoformat(),
            "held": {name: since.isoformat() for name, since in self.held.items()},
            "suspicion": self.suspicion.to_json() if self.suspicion else None,
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> PolicyMemory:
        """Read what `to_json` wrote."""
        suspicion = form.get("suspicion")
        return cls(
            closed_until=datetime.fromisoformat(form["closed_until"]),
            matured_until=datetime.fromisoformat(form["matured_until"]),
            judged_at=datetime.fromisoformat(form["judged_at"]),
            held={name: datetime.fromisoformat(at) for name, at in form["held"].items()},
            suspicion=Suspicion.from_json(suspicion) if suspicion else None,
        )
