"""What one tick did."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlreg.controller.services.triggering import Fired


@dataclass(slots=True)
class TickReport:
    """What one tick did; nothing at all is the usual answer.

    Attributes:
        passed: how many policies another controller had at this moment.
        errors: why, by the id of their state, of policies that could not be judged.
    """

    jobs: int = 0
    windows: int = 0
    judged: int = 0
    passed: int = 0
    firings: list[Fired] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """What the policies say that could not be judged."""
        return [str(error) for error in self.errors.values()]

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.jobs or self.windows or self.judged or self.passed)
