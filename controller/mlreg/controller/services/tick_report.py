"""What one tick did."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlreg.controller.services.triggering import Fired


@dataclass(slots=True)
class TickReport:
    """What one tick did; nothing at all is the usual answer.

    Attributes:
        passed: how many policies another controller had at this moment.
    """

    jobs: int = 0
    windows: int = 0
    judged: int = 0
    passed: int = 0
    firings: list[Fired] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.jobs or self.windows or self.judged or self.passed)
